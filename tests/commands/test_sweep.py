"""``sweep``: which runs a file or a grid of flags asks for, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from branches.run import Job
from commands.sweep import combinations, sweep
from foundations.errors import UserError
from foundations.run_directory import Fact, RunState
from foundations.store import Store
from platforms.local import Local
from sweeps.grid import jobs_in
from tests.branches.runs import dense, pruned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from commands.work import Work
    from tests.commands.conftest import Cli

    Write = Callable[[str], str]

SMALL = ("--model_name=digits_lenet_8", "--batch_size=512", "--training_steps=12it")

HEAD = """
import open_prune

def dense(**more):
    small = {"model_name": "digits_lenet_8", "batch_size": 512, "training_steps": "12it"}
    return open_prune.describe("digits_lenet", **small | more)
"""

GRID = f"""{HEAD}
def runs():
    yield dense()
    yield open_prune.branch(dense(), "oneshot")
    yield dense(lr=1e38, momentum=0.9)
    # yield dense(lr=7.0)
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file with this text."""

    def written(text: str) -> str:
        path = tmp_path / "grid.py"
        path.write_text(text)
        return str(path)

    return written


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """What sweeps were asked for, in place of carrying it out."""
    found: list[Work] = []
    monkeypatch.setattr("commands.sweep.carry_out", lambda work, again: found.append(work))  # noqa: ARG005 - as it is called
    return found


def test_a_grid_over_flags() -> None:
    """A flag that is given several times has all its values, the last one's side by side."""
    words = ("train", "oneshot", "--lr=.1", "--seeds", "1", "--lr", ".2", "--seeds=2", "--on")
    assert combinations(words) == [
        ["train", "oneshot", "--lr=.1", "--seeds", "1", "--on"],
        ["train", "oneshot", "--lr=.1", "--seeds=2", "--on"],
        ["train", "oneshot", "--lr", ".2", "--seeds", "1", "--on"],
        ["train", "oneshot", "--lr", ".2", "--seeds=2", "--on"],
    ]


@pytest.mark.parametrize(
    "flags",
    [
        ("--replicates=1", "--replicates=2"),
        ("--root=a", "--root=b"),
        ("--top_k=3", "--top-k=5"),
        ("--workers=1", "--workers=2"),
    ],
)
def test_only_hyperparameters_make_a_grid(flags: tuple[str, ...]) -> None:
    """Where and how are the same for all runs."""
    with pytest.raises(UserError, match="is given 2 times"):
        combinations(flags)


def test_plugins_are_for_all(asked: list[Work]) -> None:
    """Several files of one's own are no grid."""
    assert len(combinations(["--plugin=a.py", "--plugin=b.py", "--lr=1", "--lr=2"])) == 2


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("train", "--lr=.1", "--lr=.2", "--replicates=1-3"), 6),
        (("train", "--lr=.1", "--lr=0.1"), 1),
        (("branch", "train", "oneshot", "--prune_fraction=.5", "--prune_fraction=.6"), 2),
        (("lottery", "--levels=2", "--pruning_fraction=.2", "--pruning_fraction=.5"), 5),
        (("iterative", "--rounds=2", "--lr=.1", "--lr=.2"), 6),
    ],
)
def test_a_command_with_a_grid(asked: list[Work], words: tuple[str, ...], count: int) -> None:
    """Each combination's runs, those that are shared once."""
    sweep([*words, *SMALL])
    assert len(asked[0].jobs) == count
    assert len({(job.description.name, job.replicate) for job in asked[0].jobs}) == count


def test_workers_are_as_many_as_there_is_room_for(
    asked: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is said how many."""
    monkeypatch.setattr("platforms.cores.usable", lambda: 5)
    sweep(["train", "--device=cpu", *SMALL])
    sweep(["train", "--device=cpu", "--workers=3", *SMALL])
    platforms = [work.platform for work in asked]
    assert [place.workers for place in platforms if isinstance(place, Local)] == [5, 3]


def test_a_file_yields_descriptions_and_pairs(write: Write) -> None:
    """Replicates of their own, of the file, or of the command line."""
    text = f"{HEAD}\nreplicates = range(1, 3)\n\ndef runs():\n    yield dense(), (5, 7)\n"
    file = write(f"{text}    yield open_prune.branch(dense(), 'oneshot')\n    yield dense(), 5\n")
    pair = [Job(dense(), 5), Job(dense(), 7)]
    assert jobs_in(file) == [*pair, Job(pruned(), 1), Job(pruned(), 2)]
    assert jobs_in(file, (9,)) == [*pair, Job(pruned(), 9)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "has no function runs()"),
        ("def runs():\n    return []", "runs() yields nothing"),
        ("def runs():\n    yield 3", "value 1 of runs() is of type int"),
        ("def runs():\n    dense()", "runs() gives back None"),
        ("def runs():\n    return dense()", "runs() gives back TrainDesc("),
        ("def runs():\n    yield open_prune.lottery(dense(), 1)", "Write 'yield from'"),
        ("def runs():\n    yield dense(), 'x'", "whole numbers from 0 on, not 'x'"),
        ("def runs():\n    yield dense(), ()", "not nothing"),
        ("replicates = [-1]\ndef runs():\n    yield dense()", "not -1"),
        ("def runs():\n    yield dense(lrr=1)", "line 9, in runs"),
        ("def runs():\n    yield 1 / 0", "ZeroDivisionError: division by zero"),
        ("def runs(:", "line 8: def runs(:"),
        ("raise SystemExit", "line 8"),
    ],
)
def test_a_mistake_in_a_file_is_the_users(cli: Cli, write: Write, body: str, said: str) -> None:
    """What is wrong, and in which line; no traceback."""
    told = cli("sweep", write(f"{HEAD}\n{body}\n"))
    assert (told.code, said in told.err, "Traceback" in told.err) == (2, True, False), told.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.py",), "cannot be read"),
        ((), "Name a file or a command"),
        (("train", "--lr=.1", "--lr=x"), "'x' is not a number"),
    ],
)
def test_a_mistake_on_the_command_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    """It is said what is wrong, before anything is run."""
    told = cli("sweep", *words)
    assert (told.code, said in told.err) == (2, True), told.err


def test_presets_are_named_in_the_file(cli: Cli, write: Write) -> None:
    """The flag would say nothing about its runs."""
    told = cli("sweep", write(GRID), "--default_hparams=mnist_lenet_300_100")
    assert (told.code, "describe() names a preset" in told.err) == (2, True)


def test_a_file_finds_what_lies_beside_it_and_the_roots(
    cli: Cli, write: Write, tmp_path: Path
) -> None:
    """A module of the user's, and the runs below the root that the flags name."""
    (tmp_path / "beside_the_grid.py").write_text("LR = 0.3\n")
    text = f"{HEAD}\nfrom beside_the_grid import LR\ndef runs():\n    yield dense(lr=LR)\n"
    roots = f"    assert str(open_prune.Local().results_root()) == {str(tmp_path / 'there')!r}\n"
    told = cli("sweep", write(text + roots), "--dry_run", f"--root={tmp_path / 'there'}")
    assert (told.code, told.err) == (0, "")
    assert dense(lr=0.3).name in told.out
    assert not (tmp_path / "there").exists()


@pytest.mark.slow
def test_a_failed_run_stops_no_other(cli: Cli, write: Write, root: Path) -> None:
    """The last lines and the exit code tell of it; it is tried again when asked for."""
    broken = dense(lr=1e38, momentum=0.9)
    flags = ("--workers=2", "--threads=1", "--device=cpu")
    file = write(GRID)
    first = cli("sweep", file, *flags)
    assert first.code == 1
    store = Store(root)
    states = {made.name: store.run(made, 1).state for made in (dense(), pruned(), broken)}
    assert list(states.values()) == [RunState.DONE, RunState.DONE, RunState.FAILED]
    lines = first.err.splitlines()
    assert lines[0].endswith(
        f"{broken.name}/replicate_1 failed: The loss is inf at iteration 1 (epoch 0)."
    )
    assert f"open_prune.py show {broken.name}/replicate_1" in lines[1]
    log = store.run(broken, 1).path / "log.txt"
    assert str(log) in lines[1]
    assert log.exists()
    assert "begun" in first.out

    before = log.read_text()
    second = cli("sweep", file, *flags)
    assert (second.code, "begun" in second.out, log.read_text()) == (1, False, before)
    third = cli("sweep", file, *flags, "--retry")
    assert (third.code, third.out.count("begun")) == (1, 1)
    assert log.read_text().startswith(before)
    assert log.read_text() != before
    assert store.run(broken, 1).fact(Fact.FAILED) is not None


@pytest.mark.slow
def test_other_commands_have_workers_too(cli: Cli, root: Path) -> None:
    """The same lottery, with the same bytes, as in one process."""
    words = ("lottery", "--levels=1", *SMALL, "--threads=1", "--device=cpu")
    told = cli(*words, "--workers=2", "--replicates=1,2")
    assert (told.code, told.err) == (0, "")
    alone = root.parent / "alone"
    assert cli(*words, "--quiet", "--replicates=1,2", f"--root={alone}").code == 0
    runs = Store(root).runs()
    assert len(runs) == 4
    for run in runs:
        there = alone / run.path.relative_to(root)
        assert (run.path / "done.json").read_bytes() == (there / "done.json").read_bytes()
