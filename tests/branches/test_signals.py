"""A run that is asked to stop saves itself, says how to continue, and has an exit code for it."""

import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import open_prune
from branches.run import Job, complete
from foundations.errors import INTERRUPTED, InterruptedRunError
from foundations.run_directory import RunState
from foundations.store import Store
from platforms.fingerprint import PROJECT
from platforms.stop import Stop
from tests.branches.deeds import command
from tests.branches.runs import contents, context, dense, pruned, run
from tests.foundations.kills import exit_code
from training.evaluation import Evaluation, Measured

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
FLAGS = ["--model_name=digits_lenet_8", "--batch_size=512", "--training_steps=12it"]
TRAIN = ["train", *FLAGS]
BRANCH = ["branch", "train", "oneshot", *FLAGS, "--state_step=4it"]


def _placed(arguments: list[str], root: Path) -> list[str]:
    place = [f"--root={root}", f"--data_root={root.parent / 'data'}", "--device=cpu"]
    return [*arguments, *place, "--threads=1"]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("arguments", [TRAIN, BRANCH], ids=["train", "branch"])
def test_a_signal_stops_a_run_and_the_same_command_continues(
    arguments: list[str], number: signal.Signals, tmp_path: Path
) -> None:
    """Exit code 75, a checkpoint of that very step, and in the end the bytes of an undisturbed run.

    The branch's parent is trained for four steps, so the branch itself is stopped at its first.
    """
    root, out = tmp_path / "stopped", tmp_path / "out"
    placed = _placed(arguments, root)
    assert exit_code(command, placed, out, [number]) == INTERRUPTED == 75
    description = dense() if arguments == TRAIN else pruned(state_step="4it")
    stopped = Store(root).run(description, 1)
    said, step = out.read_text(), "1ep2it" if arguments == TRAIN else "1it"
    assert f"Stopped by {number.name}; {stopped.name} is saved at {step}." in said
    assert "Run the same command again to continue." in said
    assert "Traceback" not in said
    assert stopped.state is RunState.INTERRUPTED
    checkpoint = stopped.latest_checkpoint(pytest.fail)
    assert checkpoint is not None
    assert str(checkpoint.step) == step
    assert exit_code(command, placed, out, []) == 0
    run(tmp_path / "undisturbed", description)
    assert contents(root) == contents(tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_second_signal_ends_a_run_at_once_and_loses_nothing(tmp_path: Path) -> None:
    """Before the checkpoint, and at every other change of the files while it is written."""
    run(tmp_path / "undisturbed", dense())
    expected = contents(tmp_path / "undisturbed")
    saved = []
    for change in count(0, 2):
        root, out = tmp_path / str(change), tmp_path / "out"
        placed = _placed(TRAIN, root)
        twice = [signal.SIGTERM, signal.SIGINT]
        signals = twice if change == 0 else twice[:1]
        assert exit_code(command, placed, out, signals, change) == INTERRUPTED
        directory = Store(root).run(dense(), 1)
        assert "continue" in out.read_text()
        assert "Traceback" not in out.read_text()
        assert directory.state in {RunState.INTERRUPTED, RunState.RUNNING}
        directory.verify()
        saved.append(directory.latest_checkpoint(pytest.fail) is not None)
        assert open_prune.main([*placed, "--quiet"]) == 0
        assert contents(root) == expected, change
        if "at once" not in out.read_text():
            break  # it had no change left to be stopped at
    assert saved[0] is False
    assert saved[-1] is True
    assert len(saved) > 5


@pytest.mark.parametrize("number", SIGNALS)
def test_a_process_that_is_told_to_stop_from_outside(
    number: signal.Signals, tmp_path: Path
) -> None:
    """A command line of its own, in the midst of training."""
    flags = ["--lr=0.001", "--training_steps=1000000it", "--evaluate_only_at_end"]
    arguments = _placed(["train", *flags], tmp_path / "runs")
    program = Path(open_prune.__file__)
    command_line = [sys.executable, str(program), *arguments]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command_line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        while not list(tmp_path.glob("runs/*/*/metrics.csv")):  # which is written as it trains
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        try:
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == INTERRUPTED
    assert f"Stopped by {number.name}" in said
    assert "Run the same command again to continue." in said
    (found,) = Store(tmp_path / "runs").runs()
    assert found.state is RunState.INTERRUPTED
    assert found.latest_checkpoint(pytest.fail) is not None


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_signal_during_an_evaluation_stops_it(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for, it is made again, and the metrics are those of an undisturbed run."""
    stop, asked = Stop(), count(1)
    measured = Evaluation.measured

    def asked_within(*given: Any) -> Measured:
        if next(asked) == at:
            stop.requested = "SIGINT"
        return measured(*given)

    with monkeypatch.context() as changed:
        changed.setattr(Evaluation, "measured", asked_within)
        with pytest.raises(InterruptedRunError, match="Stopped by SIGINT"):
            complete(Job(dense(), 1), context(tmp_path / "a", stop=stop))
    assert [row.epoch for row in Store(tmp_path / "a").run(dense(), 1).digests()] == [
        *range(at - 1)
    ]
    run(tmp_path / "a", dense())
    run(tmp_path / "b", dense())
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_polite_kill_before_anything_began_has_the_code_too(tmp_path: Path) -> None:
    """SIGTERM while modules are imported ends in exit code 75, not in a bare death."""
    code = (
        "import os, runpy, signal, sys; from foundations import registry;"
        "registry.Registry.__getitem__ = lambda *_: os.kill(os.getpid(), signal.SIGTERM);"
        "sys.argv = ['open_prune.py', 'ls'];"
        "runpy.run_path('open_prune.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=PROJECT
    )
    assert done.returncode == INTERRUPTED
    assert "Traceback" not in done.stderr
