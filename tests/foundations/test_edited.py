"""A directory that was edited, copied or robbed by hand is refused, with the file and a remedy."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from foundations.claims import ClaimLostError
from foundations.errors import DamageError, UserError
from foundations.run_directory import Fact, RunDirectory, RunState
from foundations.steps import Step
from foundations.store import Store
from tests.foundations.examples import KINDS, TrainExample, TrainingExample
from tests.foundations.scenarios import sealed, trained, weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = {
    "iteration": 0,
    "iterations_per_epoch": 5,
    "end": 19,
    "replicate": 1,
    "sha256": "ab",
    "facts": {},
}
SPARSITY = {
    "layers": [{"layer": "fc.weight", "shape": [3, 4], "kept": 5, "total": 12}],
    "kept": 5,
    "total": 12,
}
PROVENANCE = {"sessions": [{"fingerprint": {"threads": 2}, "seconds": 1.5}]}
RIGHT: dict[Fact, Any] = {
    Fact.START: START,
    Fact.SPARSITY: SPARSITY,
    Fact.PROVENANCE: PROVENANCE,
    Fact.FAILED: {"reason": "the loss is not finite"},
}
WRONG: dict[Fact, list[Any]] = {
    Fact.START: [
        {},
        START | {"iteration": None},
        START | {"iteration": -1},
        START | {"end": "19"},
        START | {"end": True},
        START | {"iterations_per_epoch": 0},
        START | {"sha256": 5},
        START | {"facts": None},
    ],
    Fact.SPARSITY: [
        {},
        SPARSITY | {"layers": None},
        SPARSITY | {"layers": [5]},
        SPARSITY | {"layers": [{"layer": "fc", "shape": [], "kept": 1}]},
        SPARSITY | {"layers": [{"kept": 1, "total": 1}]},
        SPARSITY | {"kept": "5"},
    ],
    Fact.PROVENANCE: [
        {},
        {"sessions": 5},
        {"sessions": [5]},
        {"sessions": [{"seconds": 1}]},
        {"sessions": [{"fingerprint": {}, "seconds": 1}]},
        {"sessions": [{"fingerprint": {"threads": 2}, "seconds": "1"}]},
    ],
    Fact.FAILED: [{}, {"reason": 5}],
}
REMEDY = {
    Fact.START: "Move the directory away",
    Fact.SPARSITY: "Move the directory away",
    Fact.PROVENANCE: "begins a new one",
    Fact.FAILED: "Delete the file",
}
AWAY = "Move the directory away to run this anew."


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that is done, with all that is sealed."""
    run = Store(tmp_path).run(TrainExample(), 1)
    trained(run)
    run.write_fact(Fact.START, START)
    run.write_fact(Fact.SPARSITY, SPARSITY)
    sealed(run)
    return run


@pytest.fixture
def unfinished(tmp_path: Path) -> RunDirectory:
    """A run that has begun and has its first state."""
    run = Store(tmp_path).run(TrainExample(), 1)
    run.prepare(TrainExample(), KINDS)
    run.save_state(Step(0), weights(1))
    run.write_fact(Fact.START, START)
    return run


def _rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("fact", Fact)
def test_what_is_right_is_read(unfinished: RunDirectory, fact: Fact) -> None:
    """As it was written."""
    unfinished.write_fact(fact, RIGHT[fact])
    assert unfinished.fact(fact) == RIGHT[fact]


@pytest.mark.parametrize(
    ("fact", "value"),
    [(fact, value) for fact in Fact for value in [5, [], None, "x", *WRONG[fact]]],
)
def test_json_of_another_shape_is_damage(unfinished: RunDirectory, fact: Fact, value: Any) -> None:
    """Well-formed as it is; the file and a remedy are named."""
    path = unfinished.path / fact.value
    path.write_text(json.dumps(value))
    with pytest.raises(DamageError, match=str(path)) as caught:
        unfinished.fact(fact)
    assert REMEDY[fact] in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        dict.clear,
        lambda seal: seal.update(metrics=None),
        lambda seal: seal.update(metrics={"test accuracy": "high"}),
        lambda seal: seal.update(metrics={"test accuracy": [1]}),
        lambda seal: seal.update(states=[]),
        lambda seal: seal["states"].update(ep3_it4=None),
        lambda seal: seal["sha256"].update({"metrics.csv": None}),
        lambda seal: seal["sha256"].update({"..": "ab"}),
        lambda seal: seal.pop("replicate"),
    ],
)
def test_a_seal_of_another_shape_is_damage(run: RunDirectory, change: Callable[[Any], Any]) -> None:
    """It is not taken for less than a seal either."""
    _rewrite(run.path / "done.json", change)
    with pytest.raises(DamageError, match=r"done\.json is damaged.* Move the directory away"):
        run.done()


@pytest.mark.parametrize("value", ["5", "null", "[]", '"x"'])
def test_a_seal_that_is_no_object_is_damage(run: RunDirectory, value: str) -> None:
    """Well-formed JSON."""
    (run.path / "done.json").write_text(value)
    with pytest.raises(DamageError, match=r"done\.json is damaged.* Move the directory away"):
        run.done()


def test_a_copied_replicate_is_refused(run: RunDirectory) -> None:
    """Its start and its seal are those of the replicate that it was copied from."""
    copy = Store(run.path.parents[1]).run(TrainExample(), 2)
    shutil.copytree(run.path, copy.path)
    for read in (copy.start, copy.done, copy.metrics, copy.verify):
        with pytest.raises(DamageError, match=r"of replicate 1, .* of replicate 2.*Move") as caught:
            read()
        assert str(copy.path) in str(caught.value)
    assert run.start() == START


def test_a_directory_under_another_name_is_refused(run: RunDirectory) -> None:
    """Whoever reads what it is finds that it is another run."""
    other = Store(run.path.parents[1]).run(TrainExample(training=TrainingExample(lr=1)), 1)
    shutil.copytree(run.path.parent, other.path.parent)
    with pytest.raises(UserError, match=f"its name would be {run.name}") as caught:
        other.description(KINDS)
    assert str(other.path) in str(caught.value)
    assert AWAY in str(caught.value)


def test_a_run_without_its_description_is_listed_and_not_believed(run: RunDirectory) -> None:
    """Nor is the description written anew: nobody knows what was trained."""
    (run.path / "hparams.json").unlink()
    assert Store(run.path.parents[1]).runs() == [run]
    for read in (lambda: run.description(KINDS), lambda: run.prepare(TrainExample(), KINDS)):
        with pytest.raises(DamageError, match=r"hparams\.json is missing.*Move the directory away"):
            read()
    assert not (run.path / "hparams.json").exists()


@pytest.mark.parametrize("trace", ["start.json", "done.json", "states", "metrics.csv"])
def test_any_trace_of_a_run_is_listed(tmp_path: Path, trace: str) -> None:
    """Whatever else is gone; claims and half-written files alone are no run."""
    run = Store(tmp_path).run(TrainExample(), 3)
    (run.path / "claim").mkdir(parents=True)
    assert Store(tmp_path).runs() == []
    (run.path / trace).touch()
    assert Store(tmp_path).runs() == [run]


@pytest.mark.parametrize("name", ["metrics.csv", "digests.csv", "start.json", "hparams.json"])
@pytest.mark.parametrize("gone", [True, False])
def test_tables_of_a_done_run_are_those_that_were_sealed(
    run: RunDirectory,
    name: str,
    gone: bool,  # noqa: FBT001 - a case
) -> None:
    """They are not read when they, or what they belong to, changed since."""
    assert len(run.metrics()) == 50
    path = run.path / name
    path.unlink() if gone else path.write_text(path.read_text().replace("1", "2"))
    for read in (run.metrics, run.digests, run.check_sealed):
        with pytest.raises(DamageError, match=f"{path} .*{AWAY}"):
            read()


@pytest.mark.parametrize("fact", [Fact.START, Fact.SPARSITY])
def test_a_sealed_file_that_is_gone_is_not_taken_for_none(run: RunDirectory, fact: Fact) -> None:
    """A complete run that seems never to have begun would be begun again."""
    (run.path / fact.value).unlink()
    with pytest.raises(DamageError, match=f"{fact.value} is missing.*{AWAY}"):
        run.fact(fact)
    assert run.fact(Fact.FAILED) is None


def test_a_damaged_table_of_an_unfinished_run_can_be_written_anew(unfinished: RunDirectory) -> None:
    """The message says how."""
    for name, read in (("metrics", unfinished.metrics), ("digests", unfinished.digests)):
        (unfinished.path / f"{name}.csv").write_text("5")
        with pytest.raises(DamageError, match=rf"{name}\.csv is damaged.*Delete the file"):
            read()


@pytest.mark.parametrize("replayed", [False, True])
def test_a_sealed_state_that_is_gone_is_said_to_be_gone(run: RunDirectory, replayed: bool) -> None:  # noqa: FBT001 - a case
    """It is not a state that nobody saved, wherever it is looked for."""
    shutil.rmtree(run.path / "states")
    with pytest.raises(DamageError, match=rf"states/ep3_it4/state\.json is missing.*{AWAY}"):
        run.load_state(Step(3, 4), replayed=replayed)
    with pytest.raises(UserError, match="There is no state at 2ep"):
        run.load_state(Step(2), replayed=replayed)


def test_a_first_state_that_is_gone_is_said_to_be_gone(unfinished: RunDirectory) -> None:
    """Training began with it, so it was there."""
    shutil.rmtree(unfinished.path / "states")
    with pytest.raises(DamageError, match=rf"states/ep0_it0/state\.json is missing.*{AWAY}"):
        unfinished.load_state(Step(0))


def test_a_damaged_replayed_state_can_be_made_again(run: RunDirectory) -> None:
    """The run itself is as it was."""
    run.save_state(Step(1), weights(1), replayed=True)
    (run.path / "replayed/ep1_it0/model.safetensors").write_bytes(b"")
    with pytest.raises(DamageError, match=r"model\.safetensors is damaged.*Delete .*/ep1_it0: it"):
        run.load_state(Step(1), replayed=True)
    with pytest.raises(DamageError, match=r"model\.safetensors is damaged.*Delete .*/replayed:"):
        run.verify()


def test_a_state_copied_to_another_step_is_refused(unfinished: RunDirectory) -> None:
    """Its checksums are right; its step is not."""
    states = unfinished.path / "states"
    shutil.copytree(states / "ep0_it0", states / "ep2_it0")
    with pytest.raises(DamageError, match=rf"ep2_it0/state\.json .*another step.*{AWAY}"):
        unfinished.load_state(Step(2))


@pytest.mark.parametrize("sums", [5, None, {"model.safetensors": None}])
def test_a_state_without_checksums_is_not_loaded_unchecked(
    unfinished: RunDirectory, sums: Any
) -> None:
    """An empty checksum would pass every file."""
    path = unfinished.path / "states/ep0_it0/state.json"
    _rewrite(path, lambda truth: truth.update(sha256=sums))
    with pytest.raises(DamageError, match=f"{path} is damaged"):
        unfinished.load_state(Step(0))


def test_a_checkpoint_without_checksums_is_not_loaded_unchecked(unfinished: RunDirectory) -> None:
    """As a state is not."""
    unfinished.save_checkpoint(Step(1), weights(1), {})
    path = unfinished.path / "checkpoint/ep1_it0/checkpoint.json"
    _rewrite(path, lambda truth: truth.update(sha256=None))
    with pytest.raises(DamageError, match=rf"{path} is damaged.*Delete .*checkpoint to train"):
        unfinished.latest_checkpoint(pytest.fail)


@pytest.mark.parametrize("moved", [True, False])
def test_a_directory_that_is_gone_is_said_to_be_gone(
    unfinished: RunDirectory,
    moved: bool,  # noqa: FBT001 - a case
) -> None:
    """Deleted or moved while it trains: nobody has taken it over."""
    with unfinished.claim() or pytest.fail("not free") as claim:
        if moved:
            unfinished.path.rename(unfinished.path.with_name("elsewhere"))
        else:
            shutil.rmtree(unfinished.path)
        with pytest.raises(ClaimLostError, match=f"{unfinished.path} is gone") as caught:
            claim.check()
        unfinished.write_metrics([])  # who writes before he checks makes the directory again
        with pytest.raises(ClaimLostError, match=f"{unfinished.path}/claim is gone"):
            claim.check()
    assert "taken over" not in str(caught.value)
    assert "nothing is lost" not in str(caught.value)


def test_json_that_is_nested_too_deep_is_damage(unfinished: RunDirectory) -> None:
    """Not a crash of the reader; nor are numbers of too many digits."""
    for text in ("[" * 100_000, "1" * 5_000):
        (unfinished.path / "failed.json").write_text(text)
        with pytest.raises(DamageError, match=r"failed\.json is damaged"):
            unfinished.fact(Fact.FAILED)
    assert unfinished.state is RunState.FAILED
