"""What workers are told besides a run's name, and what is said of a sweep that did not do all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from commands.crewed import Told, flags_of, raise_for
from commands.flags import parse
from commands.progress import Lines
from foundations import plugins
from foundations.errors import InterruptedRunError, RunFailedError
from foundations.steps import Step
from foundations.store import Store
from platforms.crew import Outcome
from platforms.local import Local
from sweeps.goals import Goal
from sweeps.standing import Blocked, Failure, Standing
from tests.branches.runs import dense, pruned
from tests.loading import forgotten
from training.hparams import RunOptions

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.hparams import Hparams

DONE, OTHER = Goal(dense(), 1, whole=True), Goal(pruned(), 2, whole=True)


@pytest.mark.parametrize(
    "values",
    [
        Local(),
        Local(root="/some where", threads=3, workers=2, device="cuda:1"),
        RunOptions(),
        RunOptions(evaluate_only_at_end=True, evaluate_on=("train",), top_k=(3, 5)),
        RunOptions(checkpoint_every=Step(1), weight_save_steps=(Step(0, 3), Step(2, 1))),
    ],
)
def test_flags_give_the_values_back(values: Hparams) -> None:
    """What is written as flags is read as the same; defaults are left out."""
    assert parse("run", "", {"values": type(values)}, values.flags()) == {"values": values}
    assert type(values)().flags() == []


def test_workers_are_told_options_and_plugins(tmp_path: Path) -> None:
    """But not which states are saved: that is told with each run."""
    file = tmp_path / "mine.py"
    file.write_text("")
    with forgotten():
        plugins.load(file)
        told = flags_of(RunOptions(top_k=(3,), weight_save_steps=(Step(1),)))
    assert told == ["--top_k=3", f"--plugin={file}"]


def test_what_failed_and_what_waits_for_it_is_told(tmp_path: Path) -> None:
    """Each with its reason and where to look."""
    log = tmp_path / DONE.run / "log.txt"
    log.parent.mkdir(parents=True)
    log.touch()
    standing = Standing(failed=(Failure(DONE, "Why.", log),), blocked=(Blocked(OTHER, DONE),))
    with pytest.raises(RunFailedError) as error:
        raise_for(standing, Store(tmp_path))
    lines = str(error.value).splitlines()
    assert lines[0] == f"{DONE.run} failed: Why."
    assert lines[1] == f"  See 'open_prune.py show {DONE.run}' and {log}."
    assert lines[2] == f"1 run is not begun, for what failed is needed: {OTHER.run}."
    assert "--retry" in lines[3]


def test_a_reason_is_told_once(tmp_path: Path) -> None:
    """Hundreds of runs may fail because one data set is not there."""
    goals = [Goal(dense(), replicate, whole=True) for replicate in range(1, 13)]
    failed = tuple(Failure(goal, "No data.", tmp_path) for goal in goals)
    with pytest.raises(RunFailedError) as error:
        raise_for(Standing(failed=(*failed, Failure(OTHER, "Why.", tmp_path))), Store(tmp_path))
    named = ", ".join(goal.run for goal in goals[:10])
    lines = str(error.value).splitlines()
    assert lines[0] == f"{named} and 2 more failed: No data."
    assert lines[2] == f"{OTHER.run} failed: Why."
    assert len(lines) == 5


def test_a_stop_tells_what_is_left(tmp_path: Path) -> None:
    """And what a cluster goes on with."""
    stopped = Standing(done=(DONE,), waiting=(OTHER,), working=(DONE,), stopped="SIGINT")
    with pytest.raises(InterruptedRunError) as error:
        raise_for(stopped, Store(tmp_path))
    assert str(error.value).splitlines() == [
        "1 run is with the cluster, which goes on.",
        "Stopped by SIGINT: 2 runs are not done. Run the same command again to continue.",
    ]


def test_nothing_is_raised_where_all_is_done(tmp_path: Path) -> None:
    """A sweep that did all is told of by its table alone."""
    raise_for(Standing(done=(DONE, OTHER)), Store(tmp_path))


def test_a_line_for_each_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its beginning and its end, with how many are done."""
    told = Told(Lines(), 5, Store(tmp_path))
    told.look(Standing(done=(OTHER,)))
    told.begun(DONE)
    told.begun(Goal(OTHER.description, 2, (Step(), Step(3))))
    told.ended(DONE, Outcome.DONE, "")
    told.ended(OTHER, Outcome.LOST, "it was killed by SIGKILL")
    told.ended(OTHER, Outcome.FAILED, f"It\nis {'long ' * 100}")
    *lines, long = capsys.readouterr().out.splitlines()
    assert long == f"failed  {OTHER.run}: It is{' long' * 30} ..."
    assert lines == [
        "5 runs, 1 of them done already.",
        f"begun   {DONE.run}",
        f"begun   {OTHER.run} to 0ep, 3ep",
        f"done    {DONE.run} [2 of 5]",
        f"lost    {OTHER.run}: it was killed by SIGKILL",
    ]
