"""``run``: a run is carried out by its name, and its directory and the exit code say how."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from branches import KINDS
from foundations.claims import Claim
from foundations.errors import INTERRUPTED
from foundations.run_directory import LOG, Fact, RunState
from foundations.steps import Step
from foundations.store import Store
from tests.branches.runs import dense, pruned
from tests.sweeps.crews import BROKEN
from training.provenance import sessions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from foundations.description import Description
    from foundations.run_directory import RunDirectory
    from tests.commands.conftest import Cli


@pytest.fixture
def prepared(root: Path) -> RunDirectory:
    """The directory of a run that has not begun."""
    return prepare(root, dense())


def prepare(root: Path, description: Description) -> RunDirectory:
    """A directory with nothing but what the run is."""
    directory = Store(root).run(description, 1)
    directory.prepare(description, KINDS)
    return directory


def name(directory: RunDirectory) -> str:
    """As the command takes it."""
    return f"{directory.name}/{directory.path.name}"


def test_a_run_is_carried_out_by_its_name(cli: Cli, prepared: RunDirectory) -> None:
    """Nothing is printed: what there is to tell is in its log."""
    told = cli("run", name(prepared), "--threads=1")
    assert (told.code, told.out, told.err) == (0, "", "")
    assert prepared.state is RunState.DONE
    log = (prepared.path / LOG).read_text()
    assert f"{prepared.name} replicate 1" in log
    assert "epoch 4/4" in log
    assert cli("run", name(prepared)).code == 0
    assert (prepared.path / LOG).read_text().startswith(log)


def test_a_part_of_a_run(cli: Cli, prepared: RunDirectory) -> None:
    """It goes as far as the last state that is asked for, and no further."""
    assert cli("run", name(prepared), "--part", "--steps=0ep,5it", "--threads=1").code == 0
    assert prepared.state is RunState.INTERRUPTED
    assert prepared.states() == [Step(0, 0), Step(1, 2)]


def test_what_is_missing_of_the_lineage_is_run_first(cli: Cli, root: Path) -> None:
    """Of a branch, the parent's first state."""
    branch = prepare(root, pruned())
    assert cli("run", branch.name, "--threads=1").code == 0
    assert Store(root).run(dense(), 1).states() == [Step()]


def test_a_run_that_fails(cli: Cli, root: Path) -> None:
    """Its reason is in its directory and in the log; success takes it away again."""
    directory = prepare(root, dense(**BROKEN))
    told = cli("run", name(directory), "--threads=1")
    assert told.code == 1
    reason = "The loss is inf at iteration 1 (epoch 0)."
    assert directory.fact(Fact.FAILED) == {"reason": reason}
    assert reason in (directory.path / LOG).read_text()
    assert reason in told.err


def test_a_run_that_is_refused(cli: Cli, root: Path) -> None:
    """The exit code is that of a user's mistake; the directory has the reason too."""
    directory = prepare(root, pruned(prune_step="99it", state_step="99it"))
    told = cli("run", name(directory), "--threads=1")
    assert told.code == 2
    assert directory.state is RunState.FAILED
    assert directory.fact(Fact.FAILED)["reason"] in told.err


def test_an_error_that_nobody_foresaw(
    cli: Cli, prepared: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its type and text are the reason, and the log has the traceback."""

    def surprise(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nothing")

    with monkeypatch.context() as patched:
        patched.setattr("sweeps.errand.complete", surprise)
        told = cli("run", name(prepared))
    assert told.code == 1
    assert "Traceback" not in told.err
    assert prepared.fact(Fact.FAILED) == {"reason": "ZeroDivisionError: by nothing"}
    assert "in surprise" in (prepared.path / LOG).read_text()
    assert cli("run", name(prepared), "--threads=1").code == 0
    assert prepared.fact(Fact.FAILED) is None


def test_a_run_that_is_stopped(
    cli: Cli, prepared: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM saves it; the exit code says that it can go on, and nothing that it failed."""
    check = Claim.check

    def once(claim: Claim) -> None:
        monkeypatch.setattr(Claim, "check", check)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Claim, "check", once)
    assert cli("run", name(prepared), "--threads=1").code == INTERRUPTED
    assert prepared.state is RunState.INTERRUPTED
    assert prepared.fact(Fact.FAILED) is None
    assert sessions(prepared)[-1]["stopped"]
    assert cli("run", name(prepared), "--threads=1").code == 0
    assert "stopped" not in sessions(prepared)[-1]


@pytest.mark.parametrize("words", [(), ("--part",), ("train_0", "--answers=1")])
def test_one_run_is_named(cli: Cli, words: tuple[str, ...]) -> None:
    """Neither none nor, for a worker, one."""
    told = cli("run", *words)
    assert (told.code, "Name one run" in told.err) == (2, True)


def test_a_run_that_is_not_there(cli: Cli, prepared: RunDirectory) -> None:
    """The nearest is suggested."""
    told = cli("run", "trian_5d898d8662846ea7/replicate_1")
    assert (told.code, prepared.name in told.err) == (2, True)


def test_a_worker_reads_names_and_answers(
    cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A JSON object a line, either way; a failure is no reason to leave."""
    runs = [prepare(root, dense(**BROKEN)), prepare(root, dense(training_steps="2it"))]
    tasks = [{"run": name(run), "steps": ["1it"], "whole": True} for run in runs]
    lines = tmp_path / "tasks"
    lines.write_text("".join(f"{json.dumps(task)}\n" for task in tasks))
    answers = os.open(tmp_path / "answers", os.O_WRONLY | os.O_CREAT)
    with lines.open() as told:
        monkeypatch.setattr("sys.stdin", told)
        assert cli("run", f"--answers={answers}", "--threads=1").code == 0
    os.close(answers)
    found = [json.loads(line) for line in (tmp_path / "answers").read_text().splitlines()]
    assert [answer["outcome"] for answer in found] == ["failed", "done"]
    assert found[0]["reason"] == "The loss is inf at iteration 1 (epoch 0)."
    assert runs[1].states() == [Step(0, 0), Step(0, 1), Step(0, 2)]


def test_a_worker_does_not_wait_for_others(
    cli: Cli, prepared: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run that somebody trains is his: the worker says so and is free for another."""
    lines = tmp_path / "tasks"
    lines.write_text(json.dumps({"run": name(prepared), "steps": [], "whole": True}) + "\n")
    answers = os.open(tmp_path / "answers", os.O_WRONLY | os.O_CREAT)
    claim = prepared.claim()
    assert claim is not None
    with claim, lines.open() as told:
        monkeypatch.setattr("sys.stdin", told)
        assert cli("run", f"--answers={answers}", "--threads=1").code == 0
    os.close(answers)
    answer = json.loads((tmp_path / "answers").read_text())
    assert (answer["outcome"], "is being trained by" in answer["reason"]) == ("stopped", True)


def test_a_worker_that_is_stopped_between_two_runs_says_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever stops it draws on the same terminal."""

    class Interrupted:
        def __iter__(self) -> Iterator[str]:
            raise KeyboardInterrupt

    answers = os.open(tmp_path / "answers", os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr("sys.stdin", Interrupted())
    with pytest.raises(SystemExit) as left:
        cli("run", f"--answers={answers}")
    os.close(answers)
    assert (left.value.code, *capsys.readouterr()) == (INTERRUPTED, "", "")
