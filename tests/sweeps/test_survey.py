"""Where runs stand, as their directories tell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from branches.run import Job
from foundations.run_directory import Fact
from foundations.store import Store
from sweeps.goals import goals
from sweeps.survey import Status, counted, survey, survey_of_runs
from tests.sweeps.stages import (
    begun,
    checkpointed,
    dense,
    failed,
    finished,
    prepared,
    pruned,
    save,
    session,
    timed,
)

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description
    from sweeps.survey import Row

DENSE = dense()
PRUNED = pruned(DENSE)
GRAND = pruned(PRUNED, 0.9)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Runs below a root that is not there yet."""
    return Store(tmp_path / "runs")


def _survey(store: Store, *wanted: Description) -> list[Row]:
    return survey(goals([Job(made) for made in wanted], (), store), store)


def _of(description: Description) -> str:
    return f"{description.name}/replicate_1"


def test_nothing_is_there(store: Store) -> None:
    """A run that needs no other can begin; its branches wait for their own parents alone."""
    rows = _survey(store, DENSE, PRUNED, GRAND)
    assert [row.run for row in rows] == [_of(DENSE), _of(PRUNED), _of(GRAND)]
    assert [row.status for row in rows] == [Status.MISSING, Status.WAITING, Status.WAITING]
    assert [row.others for row in rows] == [(), (_of(DENSE),), (_of(PRUNED),)]
    assert {row.fraction for row in rows} == {None}
    assert not store.root.exists()


def test_a_state_of_the_parent_is_enough(store: Store) -> None:
    """A branch can begin when its parent has the state, and a parent is done that only has that."""
    begun(store, DENSE)
    (parent, branch) = _survey(store, PRUNED)
    assert (parent.status, parent.fraction) == (Status.DONE, 1.0)
    assert (branch.status, branch.others) == (Status.MISSING, ())


def test_done(store: Store) -> None:
    """A sealed run is done."""
    finished(begun(store, DENSE, reached=46))
    assert [row.status for row in _survey(store, DENSE)] == [Status.DONE]


def test_running(store: Store) -> None:
    """Who works on it, how much lies behind it, and what is left at its pace."""
    run = timed(begun(store, DENSE, reached=23), (100.0, 4), (11.5, 23))
    claim = run.claim()
    assert claim is not None
    with claim:
        (row,) = _survey(store, DENSE)
    assert (row.status, row.fraction) == (Status.RUNNING, 0.5)
    assert row.owner is not None
    assert row.owner.token == claim.owner.token
    assert row.seconds_left == pytest.approx(11.5)
    (after,) = _survey(store, DENSE)
    assert (after.status, after.owner) == (Status.INTERRUPTED, None)


def test_a_run_has_no_pace_before_its_first_updates(store: Store) -> None:
    """What is left is not known then."""
    run = timed(begun(store, DENSE), (3.0, 0))
    claim = run.claim()
    assert claim is not None
    with claim:
        (row,) = _survey(store, DENSE)
    assert (row.status, row.fraction, row.seconds_left) == (Status.RUNNING, 0.0, None)


def test_failed_and_blocked(store: Store) -> None:
    """A failure has its reason; all that descends from the run is blocked by it, not by others."""
    failed(prepared(store, DENSE), "The loss is nan.")
    rows = _survey(store, DENSE, PRUNED, GRAND)
    assert [row.status for row in rows] == [Status.FAILED, Status.BLOCKED, Status.BLOCKED]
    assert rows[0].reason == "The loss is nan."
    assert [row.others for row in rows] == [(), (_of(DENSE),), (_of(DENSE),)]


def test_a_run_that_failed_later_blocks_nobody(store: Store) -> None:
    """Its first state is there, and that is what its branch needs."""
    failed(begun(store, DENSE, reached=23))
    rows = _survey(store, DENSE, PRUNED)
    assert [row.status for row in rows] == [Status.FAILED, Status.MISSING]
    assert rows[0].fraction == 0.5


def test_interrupted(store: Store) -> None:
    """It has begun and nobody works on it; the checkpoint may be further than the digests."""
    checkpointed(begun(store, DENSE, reached=23), 40)
    (row,) = _survey(store, DENSE)
    assert (row.status, row.fraction) == (Status.INTERRUPTED, 40 / 46)


def test_a_state_that_a_complete_run_lacks_is_missing(store: Store) -> None:
    """It can be made again."""
    run = finished(begun(store, DENSE, reached=46))
    jobs = goals([Job(DENSE)], (), store)
    assert [row.status for row in survey(jobs, store)] == [Status.DONE]
    with_step = goals([Job(pruned(DENSE))], (), store)
    (run.path / "states" / "ep0_it0" / "state.json").unlink()
    assert [row.status for row in survey(with_step, store)] == [Status.MISSING, Status.WAITING]


def test_runs_of_a_root(store: Store) -> None:
    """Of each its end is wanted, but one that stopped where it was asked to is not interrupted."""
    finished(begun(store, DENSE, reached=46))
    checkpointed(begun(store, dense(0.2)), 0)
    checkpointed(begun(store, dense(0.3)), 7)
    asked = checkpointed(begun(store, dense(0.4)), 7)
    save(asked, 7)
    prepared(store, pruned(dense(0.5)))
    stopped = checkpointed(begun(store, dense(0.6)), 0)
    stopped.write_fact(Fact.PROVENANCE, {"sessions": [session(1.0, 0) | {"stopped": True}]})
    runs = store.runs()
    found = {row.run: row.status for row in survey_of_runs(runs, store)}
    assert found == {
        _of(DENSE): Status.DONE,
        _of(dense(0.2)): Status.PARTIAL,
        _of(dense(0.3)): Status.INTERRUPTED,
        _of(dense(0.4)): Status.PARTIAL,
        _of(pruned(dense(0.5))): Status.WAITING,
        _of(dense(0.6)): Status.INTERRUPTED,
    }
    assert [row.directory for row in survey_of_runs(runs, store)] == runs


def test_a_damaged_run_stops_nobody(store: Store) -> None:
    """It is said what is wrong with it; the others are looked at all the same."""
    (begun(store, DENSE).path / "start.json").write_text("{")
    begun(store, dense(0.2))
    for rows in (_survey(store, DENSE, dense(0.2)), survey_of_runs(store.runs(), store)):
        found = {row.run: row for row in rows}
        assert found[_of(DENSE)].status is Status.DAMAGED
        assert "start.json is damaged" in found[_of(DENSE)].reason
        assert found[_of(dense(0.2))].status is Status.INTERRUPTED
    blocked = _survey(store, PRUNED)[-1]
    assert (blocked.status, blocked.others) == (Status.BLOCKED, (_of(DENSE),))


def test_a_run_that_was_edited_is_damaged(store: Store) -> None:
    """Whoever goes on with it will be told so."""
    path = begun(store, DENSE).path / "hparams.json"
    path.write_text(path.read_text().replace('"2ep"', '"3ep"'))
    (row,) = _survey(store, DENSE)
    assert (row.status, "hparams.json was edited" in row.reason) == (Status.DAMAGED, True)


def test_a_run_that_needs_a_plugin(store: Store) -> None:
    """It stands where its directory says, and it is said which file is needed."""
    run = begun(store, DENSE)
    path = run.path / "hparams.json"
    made_with = {"plugins": {"0" * 16: "mine.py"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | made_with))
    (row,) = survey_of_runs([run], store)
    assert row.status is Status.INTERRUPTED
    assert row.reason == "made with --plugin=mine.py: give it to read it."


def test_counted(store: Store) -> None:
    """Each status that there is, with how many have it."""
    finished(begun(store, DENSE, reached=46))
    assert counted(_survey(store, DENSE, PRUNED, GRAND)) == {
        Status.DONE: 1,
        Status.WAITING: 1,
        Status.MISSING: 1,
    }
