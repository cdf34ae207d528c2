"""What is recorded of a run: measurements that are not finite, and what others have left."""

# ruff: noqa: ARG002 - reporters are told more than they use

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

import open_prune
from branches.run import Job, complete
from commands.progress import Silent
from commands.results import summary
from foundations.claims import FOLDER, ClaimLostError
from foundations.errors import InterruptedRunError, RunFailedError
from foundations.run_directory import Fact, RunDirectory, RunState
from foundations.steps import Step
from foundations.store import Store
from foundations.tensors import digest
from platforms.stop import Stop
from pruning.criteria.magnitude import Magnitude
from tests.branches.runs import DECAYED, contents, context, dense, options, pruned, run
from training import start
from training.evaluation import Evaluation, Measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from torch import Tensor

    from datasets.loader import Batch


class Acting(Silent):
    """Does something after so many updates, or where training ends."""

    def __init__(self, at: int | None, act: Callable[[], None]) -> None:
        self._at, self._act = at, act

    def step(self, iteration: int, loss: Tensor) -> None:
        """Act at this iteration."""
        if iteration == self._at:
            self._act()

    def end(self) -> None:
        """Act after the last."""
        if self._at is None:
            self._act()


class _CrashError(Exception):
    """The process would end here."""


def _crash() -> None:
    raise _CrashError


def _take_over(directory: RunDirectory) -> None:
    """What another worker does who finds the owner silent."""
    (directory.path / FOLDER / "99").mkdir(parents=True)


def test_states_after_the_last_checkpoint_become_those_that_are_sealed(tmp_path: Path) -> None:
    """Bytes of a session under another fingerprint are replaced by those of the one that ends."""
    description = dense(**DECAYED)
    recorded = options(checkpoint_every="5it", weight_save_steps="3ep1it")
    with pytest.raises(_CrashError):
        complete(Job(description), context(tmp_path / "a", Acting(None, _crash), recorded))
    directory = Store(tmp_path / "a").run(description, 1)
    later = [Step(3, 1), Step(4, 0)]
    assert directory.states() == [Step(), *later]
    for step in later:
        weights = directory.load_state(step).model
        directory.save_state(step, {name: value * 1.001 for name, value in weights.items()})
    run(tmp_path / "a", description, recorded)
    sealed = digest(directory.load_state(Step(4, 0)).model)
    assert sealed == directory.digests()[-1].sha256
    directory.verify()
    run(tmp_path / "undisturbed", description, recorded)
    assert contents(tmp_path / "a") == contents(tmp_path / "undisturbed")


def _no_numbers(_: Evaluation, __: object, batches: Iterable[Batch], *___: object) -> Measured:
    """What evaluating a network gives whose statistics overflow."""
    examples = sum(len(labels) for _, labels in batches)
    return Measured({"accuracy": math.nan, "loss": math.inf}, examples)


def test_measurements_that_are_not_finite_are_kept_in_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are finite, so the run goes on, and continues with what was measured before."""
    recorded = options(checkpoint_every="1it")
    with monkeypatch.context() as broken:
        broken.setattr(Evaluation, "measured", _no_numbers)
        with pytest.raises(_CrashError):
            complete(Job(dense()), context(tmp_path / "a", Acting(7, _crash), recorded))
    directory = run(tmp_path / "a", dense(), recorded)
    losses = [row.value for row in directory.metrics() if row[2:4] == ("test", "loss")]
    assert losses[:3] == [math.inf] * 3
    plain = run(tmp_path / "plain", dense()).metrics()
    assert directory.metrics()[-6:] == plain[-6:]


def test_measurements_that_are_not_finite_are_sealed_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In strict JSON, in the tables of ``ls`` and of what ran, and by ``show``."""
    monkeypatch.setattr(Evaluation, "measured", _no_numbers)
    directory = run(tmp_path / "a", dense())
    sealed = json.loads((directory.path / "done.json").read_text(), parse_constant=pytest.fail)
    assert {sealed["metrics"][f"test {name}"] for name in ("accuracy", "loss")} == {"nan", "inf"}
    root = f"--root={tmp_path / 'a'}"
    capsys.readouterr()
    assert open_prune.main(["ls", root]) == 0
    assert "  nan %  " in capsys.readouterr().out
    assert open_prune.main(["show", directory.name, root]) == 0
    assert "last test loss inf after epoch 4\n" in capsys.readouterr().out
    assert summary([directory]).split("\n")[1].split()[2:5] == ["nan", "%", "inf"]


def test_end_metrics_are_those_of_the_end(tmp_path: Path) -> None:
    """What was measured before an interruption alone, on other splits, is not among them."""
    stop = Stop()

    def ask() -> None:
        stop.requested = "SIGINT"

    more = options(top_k=[3], evaluate_on=["test", "train"])
    with pytest.raises(InterruptedRunError):
        complete(Job(dense()), context(tmp_path / "a", Acting(7, ask), more, stop))
    directory = run(tmp_path / "a", dense())
    assert {row.name for row in directory.metrics()} == {"accuracy", "loss", "top3"}
    seal = directory.done()
    assert seal["metrics"].keys() == {"train loss", "test accuracy", "test loss"}
    assert seal["metrics"] == run(tmp_path / "plain", dense()).done()["metrics"]


def test_who_lost_the_claim_writes_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another has the run by now, who may have written it already."""
    directory = Store(tmp_path / "a").run(dense(), 1)
    start_of = start.start_of

    def slowly(*described: Any) -> object:
        _take_over(directory)
        return start_of(*described)

    monkeypatch.setattr(start, "start_of", slowly)
    with pytest.raises(ClaimLostError):
        run(tmp_path / "a", dense())
    assert directory.fact(Fact.START) is None
    assert directory.fact(Fact.SPARSITY) is None
    assert directory.states() == []


def test_who_lost_the_claim_records_no_failure(tmp_path: Path) -> None:
    """A loss that is not finite is then the new owner's to find."""
    description = dense(lr=1e38)
    directory = Store(tmp_path / "a").run(description, 1)
    losing = Acting(1, lambda: _take_over(directory))
    with pytest.raises(ClaimLostError):
        complete(Job(description), context(tmp_path / "a", losing))
    assert directory.fact(Fact.START) is not None
    assert directory.fact(Fact.FAILED) is None


def test_who_lost_the_claim_saves_no_replayed_state(tmp_path: Path) -> None:
    """The new owner of the run replays it himself."""
    directory = run(tmp_path / "a", dense())
    losing = Acting(5, lambda: _take_over(directory))
    with pytest.raises(ClaimLostError):
        complete(Job(dense()), context(tmp_path / "a", losing, options(weight_save_steps="4it")))
    assert directory.states(replayed=True) == []


def test_a_failure_while_scoring_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As that of a run that failed while it trained; when the cause is gone, it goes on."""
    root, description = tmp_path / "a", pruned()
    directory = Store(root).run(description, 1)
    with monkeypatch.context() as changed:
        changed.setattr(
            Magnitude,
            "__call__",
            lambda _, __, weights, mask, *___: {name: weights[name] * math.nan for name in mask},
        )
        with pytest.raises(RunFailedError) as raised:
            run(root, description)
    assert directory.state is RunState.FAILED
    reason = directory.fact(Fact.FAILED)["reason"]
    assert f"{directory.name} replicate 1 failed. {reason} " in str(raised.value)
    assert directory.fact(Fact.START) is None
    capsys.readouterr()
    for words in (["ls"], ["show", directory.name]):
        assert open_prune.main([*words, f"--root={root}"]) == 0
    shown = capsys.readouterr().out
    assert f"{directory.name} replicate 1: failed" in shown
    assert f"failed: {reason}\n" in shown
    assert run(root, description).state is RunState.DONE
    assert directory.fact(Fact.FAILED) is None
