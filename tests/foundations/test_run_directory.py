"""A run directory says what it holds, refuses what it is not, and names what is damaged."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foundations import owners
from foundations.claims import ClaimLostError
from foundations.errors import DamageError, OpenPruneError, UserError
from foundations.run_directory import Fact, RunDirectory, RunState
from foundations.steps import Step
from foundations.store import Store
from foundations.tables import Digest, Metric
from foundations.tensors import TensorFile
from tests.foundations.examples import KINDS, TrainExample, TrainingExample, three_deep
from tests.foundations.scenarios import mask, state, trained, weights

ASKED = TrainExample(training=TrainingExample(lr=0.5, workers=2))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A prepared run."""
    run = Store(tmp_path).run(ASKED, 1)
    run.prepare(ASKED, KINDS)
    return run


def _edit(run: RunDirectory, change: Callable[[Any], Any]) -> None:
    path = run.path / "hparams.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_the_whole_description_is_stored_and_read(run: RunDirectory) -> None:
    """Defaults included."""
    data = json.loads((run.path / "hparams.json").read_text())
    assert data["training"]["steps"] == "40ep"
    assert run.description(KINDS) == ASKED
    assert (run.name, run.replicate) == (ASKED.name, 1)


def test_a_lineage_is_stored_and_read(tmp_path: Path) -> None:
    """Three branches deep, with a teacher."""
    run = Store(tmp_path).run(three_deep(), 2)
    run.prepare(three_deep(), KINDS)
    assert run.description(KINDS) == three_deep()


def test_preparing_again_changes_nothing(run: RunDirectory) -> None:
    """Nor does another number of workers, which decides no result."""
    before = (run.path / "hparams.json").stat().st_mtime_ns
    run.prepare(ASKED, KINDS)
    run.prepare(replace(ASKED, training=TrainingExample(lr=0.5, workers=7)), KINDS)
    assert (run.path / "hparams.json").stat().st_mtime_ns == before


def test_absent_fields_are_their_defaults(run: RunDirectory) -> None:
    """An older version wrote fewer fields: it is the same run."""
    _edit(run, lambda data: (data["training"].pop("steps"), data.pop("model")))
    run.prepare(ASKED, KINDS)
    assert run.description(KINDS) == ASKED


def test_an_edited_description_is_refused_with_the_difference(run: RunDirectory) -> None:
    """Which field, both values, and what to do; the file stays as it is."""
    _edit(run, lambda data: data["training"].update(lr=0.25, steps="2ep"))
    with pytest.raises(UserError) as caught:
        run.prepare(ASKED, KINDS)
    message = str(caught.value)
    assert "training.lr: 0.25 in the directory, 0.5 asked for" in message
    assert "training.steps: 2ep in the directory, 40ep asked for" in message
    assert "Move the directory away" in message
    assert str(run.path) in message
    with pytest.raises(UserError, match="holds another run than its name says"):
        run.description(KINDS)


def test_an_edit_by_which_a_default_is_lost_is_refused(run: RunDirectory) -> None:
    """An absent field has its default, which is not what was asked for."""
    _edit(run, lambda data: data["training"].pop("lr"))
    with pytest.raises(UserError, match=r"training\.lr: 0\.1 in the directory, 0\.5 asked for"):
        run.prepare(ASKED, KINDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["training"].update(invented_later=1), "invented_later.*newer version"),
        (lambda data: data.update(kind="prun"), "Did you mean 'prune'"),
        (lambda data: data["training"].update(lr=-1), r"lr=-1\.0 is not allowed"),
        (lambda data: data["training"].update(lr="fast"), "lr='fast' is not allowed"),
        (lambda data: data["training"].update(steps=7), "steps=7 is not allowed"),
        (lambda data: data["training"].update(steps="7 epochs"), "is not a step"),
    ],
)
def test_a_description_that_cannot_be_used_is_named(
    run: RunDirectory, change: Callable[[Any], Any], message: str
) -> None:
    """The error holds the file, what is wrong with it, and what to do."""
    _edit(run, change)
    with pytest.raises(OpenPruneError, match=message) as caught:
        run.prepare(ASKED, KINDS)
    assert str(run.path / "hparams.json") in str(caught.value)
    assert "Move the directory away" in str(caught.value)


def test_a_description_cut_short_is_named(run: RunDirectory) -> None:
    """It is not written anew: nobody knows what the directory holds."""
    path = run.path / "hparams.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(DamageError, match=r"hparams\.json"):
        run.prepare(ASKED, KINDS)
    assert len(path.read_text()) == 50


def test_a_copied_directory_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    """A run under another run's name is not taken for it."""
    other = Store(tmp_path).run(TrainExample(), 1)
    run.path.parent.rename(other.path.parent)
    with pytest.raises(UserError, match=r"training\.lr: 0\.5 in the directory, 0\.1 asked for"):
        other.prepare(TrainExample(), KINDS)


def test_the_state_follows_the_life_of_a_run(run: RunDirectory) -> None:
    """New, running, interrupted, failed, running again, done."""
    lived = [run.state]
    with run.claim() or pytest.fail("not free"):
        lived.append(run.state)
    lived.append(run.state)
    run.write_fact(Fact.FAILED, {"step": "1it", "why": "the loss is not finite"})
    lived.append(run.state)
    with run.claim() or pytest.fail("not free") as claim:
        lived.append(run.state)
        run.seal(claim, {})
    lived.append(run.state)
    assert [state.value for state in lived] == [
        "new", "running", "interrupted", "failed", "running", "done",
    ]  # fmt: skip
    assert run.fact(Fact.FAILED) is None


def test_tables_are_read_back_to_the_last_bit(run: RunDirectory) -> None:
    """Also what is no number."""
    rows = [Metric(391, 1, "test", "loss", 0.1 + 0.2), Metric(0, 0, "train", "top-5", 1e-300)]
    run.write_metrics(rows)
    run.write_digests([Digest(391, 1, "a" * 64)])
    assert run.metrics() == rows
    assert run.digests() == [Digest(391, 1, "a" * 64)]
    text = (run.path / "metrics.csv").read_text()
    assert text.splitlines()[:2] == [
        "iteration,epoch,phase,name,value",
        "391,1,test,loss,0.30000000000000004",
    ]
    run.write_metrics([Metric(1, 0, "test", "loss", float("inf"))])
    assert run.metrics()[0].value == float("inf")


def test_a_run_without_tables_has_no_rows(run: RunDirectory) -> None:
    """Nothing was measured yet."""
    assert run.metrics() == []
    assert run.digests() == []


@pytest.mark.parametrize("text", ["", "a,b\n", "iteration,epoch,phase,name,value\n1,2,x\n", "1"])
def test_a_damaged_table_is_named(run: RunDirectory, text: str) -> None:
    """Cut short, or another table."""
    (run.path / "metrics.csv").write_text(text)
    with pytest.raises(DamageError, match=r"metrics\.csv"):
        run.metrics()


def test_states_are_saved_in_the_order_of_training(run: RunDirectory) -> None:
    """Model, mask and optimizer come back; what was not saved is absent."""
    run.save_state(Step(10), weights(1))
    run.save_state(Step(9, 3), weights(2), mask(5), TensorFile(weights(3), {"name": "sgd"}))
    assert run.states() == [Step(9, 3), Step(10)]
    full, bare = run.load_state(Step(9, 3)), run.load_state(Step(10))
    assert full.model["fc.bias"].tolist() == [2, 3, 4]
    assert full.mask is not None
    assert full.mask.tensors["fc.weight"].tolist() == [5, 7]
    assert full.mask.metadata == {"shape": "3,4"}
    assert full.optimizer is not None
    assert full.optimizer.metadata == {"name": "sgd"}
    assert (bare.mask, bare.optimizer) == (None, None)
    names = {path.name for path in (run.path / "states/ep9_it3").iterdir()}
    assert names == {
        "model.safetensors", "mask.safetensors", "optimizer.safetensors", "state.json",
    }  # fmt: skip


def test_replayed_states_are_kept_apart(run: RunDirectory) -> None:
    """In a folder of their own, with the same layout."""
    run.save_state(Step(1), weights(1), replayed=True)
    assert run.states() == []
    assert run.states(replayed=True) == [Step(1)]
    assert run.load_state(Step(1), replayed=True).model["fc.bias"].tolist() == [1, 2, 3]


def test_a_state_that_was_not_saved_is_said_to_be_none(run: RunDirectory) -> None:
    """The message lists those that were."""
    run.save_state(Step(2), weights(1))
    with pytest.raises(UserError, match=r"no state at 3ep .* Saved are: 2ep"):
        run.load_state(Step(3))


def test_a_folder_without_its_truth_is_no_state(run: RunDirectory) -> None:
    """Whatever lies in it, and whatever else lies there."""
    run.save_state(Step(1), weights(1))
    (run.path / "states/ep1_it0/state.json").unlink()
    (run.path / "states/notes").mkdir()
    (run.path / "states/notes/state.json").touch()
    assert run.states() == []


@pytest.mark.parametrize("name", ["model.safetensors", "mask.safetensors", "state.json"])
def test_a_damaged_state_is_named(run: RunDirectory, name: str) -> None:
    """By the file, when it is loaded and when it is verified."""
    state(1)(run)
    path = run.path / "states/ep3_it4" / name
    path.write_bytes(path.read_bytes()[:-9])
    for read in (run.verify, lambda: run.load_state(Step(3, 4))):
        with pytest.raises(DamageError, match=str(path)):
            read()


def test_saving_a_damaged_state_again_mends_it(run: RunDirectory) -> None:
    """Though its truth says that it is there already."""
    state(1)(run)
    path = run.path / "states/ep3_it4/mask.safetensors"
    path.write_bytes(b"")
    state(1)(run)
    run.verify()


def test_a_seal_holds_the_checksums_of_what_is_complete(run: RunDirectory) -> None:
    """And what only an incomplete run needs is gone."""
    run = RunDirectory(run.path.parents[1] / TrainExample().name / "replicate_1", 1)
    trained(run)
    with run.claim() or pytest.fail("not free") as claim:
        run.seal(claim, {"test_accuracy": 0.98})
    seal = run.done()
    assert seal["metrics"] == {"test_accuracy": 0.98}
    assert set(seal["states"]) == {"ep3_it4"}
    assert set(seal["sha256"]) == {"hparams.json", "metrics.csv", "digests.csv"}
    assert not (run.path / "checkpoint").exists()
    assert not (run.path / "failed.json").exists()
    run.verify()


@pytest.mark.parametrize(
    "name",
    [
        "hparams.json",
        "metrics.csv",
        "states/ep3_it4/model.safetensors",
        "states/ep3_it4/state.json",
    ],
)
@pytest.mark.parametrize("gone", [True, False])
def test_what_was_sealed_and_has_changed_is_named(tmp_path: Path, name: str, gone: bool) -> None:  # noqa: FBT001 - a case
    """A file that is gone, and one to which a byte was added."""
    run = RunDirectory(tmp_path / TrainExample().name / "replicate_1", 1)
    trained(run)
    with run.claim() or pytest.fail("not free") as claim:
        run.seal(claim, {})
    path = run.path / name
    path.unlink() if gone else path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DamageError, match=str(path)):
        run.verify()


def test_a_damaged_seal_is_named(run: RunDirectory) -> None:
    """It is there, so the run was complete; what it says cannot be read."""
    (run.path / "done.json").write_text("{}")
    with pytest.raises(DamageError, match=r"done\.json"):
        run.verify()


def test_a_damaged_state_is_not_sealed(run: RunDirectory) -> None:
    """Nothing looks complete that is not."""
    state(1)(run)
    (run.path / "states/ep3_it4/mask.safetensors").write_bytes(b"")
    with run.claim() or pytest.fail("not free") as claim, pytest.raises(DamageError):
        run.seal(claim, {})
    assert run.state is RunState.INTERRUPTED


def test_a_lost_claim_seals_nothing(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker has the run: it is his to complete."""
    late = run.claim()
    assert late is not None
    long_ago = time.time() - 1000
    os.utime(run.path / "claim/1/owner.json", (long_ago, long_ago))
    monkeypatch.setattr(owners, "_machine", lambda: "another boot")
    with run.claim() or pytest.fail("not taken over"):
        with pytest.raises(ClaimLostError):
            run.seal(late, {})
        assert run.done() is None
    late.release()


def test_claiming_clears_what_killed_workers_left(run: RunDirectory) -> None:
    """Parts, half-made checkpoints and half-made states; nothing that is whole."""
    run.save_state(Step(1), weights(1))
    run.save_checkpoint(Step(1), weights(1), {})
    left = [
        ".metrics.csv.1.ab.part",
        "states/ep1_it0/.model.safetensors.1.ab.part",
        "states/ep2_it0/model.safetensors",
        "replayed/ep2_it0/model.safetensors",
        "checkpoint/ep2_it0/state.safetensors",
    ]
    for name in left:
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).touch()
    (run.claim() or pytest.fail("not free")).release()
    assert [name for name in left if (run.path / name).exists()] == []
    assert not (run.path / "checkpoint/ep2_it0").exists()
    assert run.states() == [Step(1)]
    assert run.latest_checkpoint(pytest.fail) is not None


def test_who_asks_too_late_leaves_nothing(run: RunDirectory) -> None:
    """A state asked for as the run is sealed, or after, leaves the directory as it was sealed."""
    run.ask_for([Step(1, 0)])
    assert run.asked_for() == [Step(1, 0)]
    claim = run.claim()
    assert claim is not None
    with claim:
        run.seal(claim, {})
    before = sorted(path.name for path in run.path.iterdir())
    assert run.state is RunState.DONE
    run.ask_for([Step(2, 0)])
    assert sorted(path.name for path in run.path.iterdir()) == before
    assert run.asked_for() == []


@pytest.mark.parametrize(
    "left", [".digests.csv.1.a.part", "checkpoint/ep1_it0/", "states/ep1_it0/"]
)
def test_what_a_killed_worker_left_is_seen(run: RunDirectory, left: str) -> None:
    """A file that was not moved into place, or a step without its truth; a claim clears it."""
    state(1.0)(run)
    place = run.path / left
    seen = [run.has_leftovers]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.mkdir() if left.endswith("/") else place.touch()
    seen.append(run.has_leftovers)
    claim = run.claim()
    assert claim is not None
    claim.release()
    seen.append(run.has_leftovers)
    assert seen == [False, True, False]
