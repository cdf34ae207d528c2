"""What missing runs are said to cost, by those that were timed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from branches.describing import branch, describe
from branches.run import Job
from commands.plan import in_words, plan
from foundations.run_directory import Fact
from foundations.steps import Step
from foundations.store import Store
from sweeps.cost import Cost, cost, timings
from sweeps.goals import Goal, goals
from tests.sweeps.stages import begun, dense, failed, finished, pruned, timed

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description

DENSE = dense()
NONE = "nothing comparable was timed"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Runs below a root that is not there yet."""
    return Store(tmp_path / "runs")


def _cost(store: Store, *wanted: Description) -> Cost:
    return cost(goals([Job(made) for made in wanted], (), store), store)


def test_nothing_was_timed(store: Store) -> None:
    """Then nothing is known."""
    assert _cost(store, DENSE, pruned(DENSE)) == Cost(0.0, 0, 2)


def test_nothing_is_missing(store: Store) -> None:
    """Then nothing is to be paid."""
    timed(finished(begun(store, DENSE, reached=46)), (9.2, 46))
    assert _cost(store, DENSE) == Cost(0.0, 0, 0)


def test_iterations_by_the_median_of_seconds_an_iteration(store: Store) -> None:
    """A run of 69 iterations: three comparable ones took 0.1, 0.2 and 0.9 s an iteration."""
    for lr, seconds in ((0.2, 4.6), (0.3, 9.2), (0.4, 41.4)):
        timed(finished(begun(store, dense(lr), reached=46)), (seconds, 46))
    found = _cost(store, dense(steps="3ep"))
    assert (found.known, found.unknown) == (1, 0)
    assert found.seconds == pytest.approx(69 * 0.2)


def test_what_is_left_counts(store: Store) -> None:
    """A run that came to iteration 23 of 46 has the other 23 before it."""
    timed(finished(begun(store, dense(0.2), reached=46)), (4.6, 46))
    begun(store, DENSE, reached=23)
    assert _cost(store, DENSE).seconds == pytest.approx(2.3)


def test_the_run_itself_where_nothing_else_is_comparable(store: Store) -> None:
    """All its sessions count, but those that came to no update."""
    timed(begun(store, DENSE, reached=23), (1.0, 3), (5.0, 0), (10.5, 20))
    found = _cost(store, DENSE)
    assert found.seconds == pytest.approx(23 * 11.5 / 23)


def test_other_networks_batches_and_numerics_are_not_comparable(store: Store) -> None:
    """Nor is a run whose epochs have an unknown length."""
    timed(finished(begun(store, dense(0.2), reached=46)), (4.6, 46))
    others = [
        describe("digits_lenet_16", training_steps="2ep"),
        dense(batch_size=32),
        describe("digits_lenet_8", training_steps="2ep", numerics="float64"),
        describe("digits_lenet_8", training_steps="2ep", subsample_fraction=0.5),
    ]
    assert _cost(store, *others) == Cost(0.0, 0, 4)


def test_where_runs_were_timed_last(store: Store) -> None:
    """Two were timed on a CPU long ago, one on a GPU since: that is where others will be too."""
    for lr, device, seen, seconds in (
        (0.2, "CPU", "2026-01-02T00:00:00+00:00", 92.0),
        (0.3, "GPU", "2026-01-03T00:00:00+00:00", 4.6),
        (0.4, "CPU", "2026-01-01T00:00:00+00:00", 46.0),
    ):
        run = finished(begun(store, dense(lr), reached=46))
        timed(run, (seconds, 46), device=device, seen=seen)
    assert _cost(store, DENSE).seconds == pytest.approx(4.6)


def test_only_as_far_as_is_needed(store: Store) -> None:
    """Of a parent of which the state at 10it is wanted, ten iterations."""
    timed(finished(begun(store, dense(0.2), reached=46)), (4.6, 46))
    found = cost([Goal(DENSE, 1, (Step(0, 10),))], store)
    assert found.seconds == pytest.approx(1.0)


def test_workers_save_nothing_of_runs_that_wait_for_one_another(store: Store) -> None:
    """A branch of a parent's end begins then; one of its state at 10it begins beside it."""
    timed(finished(begun(store, dense(0.2), reached=46)), (4.6, 46))
    after = branch(DENSE, "retrain")
    beside = branch(DENSE, "retrain", state_step="10it")
    found = _cost(store, DENSE, beside)
    assert [found.seconds, found.longest] == pytest.approx([9.2, 1.0 + 4.6])
    found = _cost(store, DENSE, beside, after)
    assert [found.seconds, found.longest] == pytest.approx([13.8, 4.6 + 4.6])
    assert found.shared_by(100) == found.shared_by(None) == found.longest
    assert found.shared_by(1) == found.seconds


def test_a_record_that_is_damaged_tells_nothing(store: Store) -> None:
    """Estimates are no reason to stop."""
    run = timed(begun(store, DENSE, reached=23), (1.0, 23))
    other = begun(store, dense(0.2))
    (other.path / "start.json").write_text("{")
    (run.path / Fact.PROVENANCE.value).write_text("{")
    assert timings(store.runs()).runs == {}
    after = branch(dense(0.2), "retrain")
    wanted = [Goal(made, 1, whole=True) for made in (DENSE, dense(0.2), after)]
    assert cost(wanted, store) == Cost(0.0, 0, 3)


@pytest.mark.parametrize(
    ("cost", "workers", "said"),
    [
        (Cost(5400, 3, 0), 1, "estimated for 3 runs: 1 h 30 min of one worker"),
        (
            Cost(90, 2, 0),
            2,
            "estimated for 2 runs: 1 min 30 s of one worker, 45.0 s with 2 workers",
        ),
        (Cost(8, 2, 0, 6), 2, "estimated for 2 runs: 8.0 s of one worker, 6.0 s with 2 workers"),
        (
            Cost(8, 2, 0, 6),
            None,
            "estimated for 2 runs: 8.0 s of one worker, at least 6.0 s with any number",
        ),
        (Cost(9, 1, 3), 1, f"estimated for 1 run: 9.0 s of one worker; unknown for 3 runs: {NONE}"),
        (Cost(0, 0, 3), 4, "estimated: unknown, for nothing comparable was timed (3 runs)"),
    ],
)
def test_in_words(cost: Cost, workers: int, said: str) -> None:
    """Of one worker, of all of them, and of how many runs it is not known."""
    assert in_words(cost, workers) == said


def test_a_plan_of_several_runs(store: Store) -> None:
    """A line a run, how many stand where, and the cost; what failed is tried again or not."""
    timed(finished(begun(store, dense(0.2), reached=46)), (4.6, 46))
    failed(begun(store, dense(0.3), reached=23), "The loss\nis nan.")
    jobs = [Job(dense(0.2)), Job(dense(0.3)), Job(DENSE)]
    again = plan(jobs, (), store, workers=3).splitlines()
    assert [re.split("  +", line)[2] for line in again[1:4]] == [
        "done already",
        "would try again, to its end",
        "would start, to its end",
    ]
    assert again[4:] == [
        "",
        "3 runs: 1 done, 1 failed, 1 missing",
        "estimated for 2 runs: 6.9 s of one worker, 4.6 s with 3 workers",
    ]
    left = plan(jobs, (), store, retry=False).splitlines()
    assert "failed: The loss is nan." in left[2]
    assert left[-1] == "estimated for 1 run: 4.6 s of one worker"


def test_a_plan_says_what_is_blocked(store: Store) -> None:
    """By the run that failed, unless that is tried again."""
    run = failed(begun(store, DENSE))
    (run.path / "states" / "ep0_it0" / "state.json").unlink()
    jobs = [Job(DENSE), Job(pruned(DENSE))]
    line = plan(jobs, (), store, retry=False).splitlines()[2]
    assert f"cannot begin: {DENSE.name}/replicate_1 failed" in line
    assert "would start, to its end" in plan(jobs, (), store).splitlines()[2]
