"""What is done to a run directory in the tests that kill: before, the deed, and how it reads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from foundations.run_directory import HPARAMS, Fact, RunDirectory, RunState
from foundations.steps import Step
from foundations.tables import Digest, Metric
from foundations.tensors import TensorFile, digest
from tests.foundations.examples import KINDS, TrainExample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = TrainExample().name


@dataclass(frozen=True)
class Scenario:
    """A deed, what was there before it, and what a reader finds.

    Args:
        before: Brings the directory to where the deed begins.
        deed: What is killed.
        read: What a reader finds; equal for directories that mean the same.
        between: Findings that are allowed besides those before and after the deed.
    """

    before: Callable[[RunDirectory], None]
    deed: Callable[[RunDirectory], None]
    read: Callable[[RunDirectory], Any]
    between: tuple[Any, ...] = ()


def directory(root: Path) -> RunDirectory:
    """The directory that all scenarios use."""
    return RunDirectory(root / NAME / "replicate_1", 1)


def nothing(run: RunDirectory) -> None:
    """Leave the directory as it is."""


def weights(value: float) -> dict[str, torch.Tensor]:
    """Weights of a small network."""
    return {"fc.weight": torch.full((3, 4), value), "fc.bias": torch.arange(3.0) + value}


def mask(value: int) -> TensorFile:
    """Something like a packed mask."""
    return TensorFile({"fc.weight": torch.tensor([value, 7], dtype=torch.uint8)}, {"shape": "3,4"})


def state(value: float) -> Callable[[RunDirectory], None]:
    """Save a state."""

    def deed(run: RunDirectory) -> None:
        run.save_state(Step(3, 4), weights(value), mask(int(value)), TensorFile(weights(-value)))

    return deed


def checkpoint(*steps: int, value: float = 0.0) -> Callable[[RunDirectory], None]:
    """Save checkpoints, one after the other."""

    def deed(run: RunDirectory) -> None:
        for step in steps:
            run.save_checkpoint(Step(0, step), weights(step + value), {"images": step})

    return deed


def damaged_newest(run: RunDirectory) -> None:
    """Two checkpoints, the newer one cut short."""
    checkpoint(1, 2)(run)
    path = run.path / "checkpoint/ep0_it2/state.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def fact(value: int) -> Callable[[RunDirectory], None]:
    """Write a JSON file."""

    def deed(run: RunDirectory) -> None:
        counts = {"kept": value, "total": 12}
        layer = {"layer": "fc.weight" * 1_000, "shape": [3, 4], **counts}
        run.write_fact(Fact.SPARSITY, {"layers": [layer], **counts})

    return deed


def tables(value: float) -> Callable[[RunDirectory], None]:
    """Write the measurements."""

    def deed(run: RunDirectory) -> None:
        run.write_metrics([Metric(i, 0, "test", "loss", value / 3) for i in range(50)])

    return deed


def prepare(run: RunDirectory) -> None:
    """Begin a run."""
    run.prepare(TrainExample(), KINDS)


def trained(run: RunDirectory) -> None:
    """All that a run has before its seal, and a failure from an earlier attempt."""
    prepare(run)
    state(1)(run)
    checkpoint(3, 4)(run)
    tables(1)(run)
    run.write_digests([Digest(1, 0, "ab")])
    run.write_fact(Fact.FAILED, {"step": "1it"})


def sealed(run: RunDirectory) -> None:
    """Seal what is trained."""
    claim = run.claim()
    assert claim is not None
    with claim:
        run.seal(claim, {"test_accuracy": 0.5})


def claimed(run: RunDirectory) -> None:
    """Claim the run and give it back."""
    claim = run.claim()
    assert claim is not None
    claim.check()
    claim.release()


def read_state(run: RunDirectory) -> Any:
    """The states, by their content."""
    run.verify()
    found = [run.load_state(step) for step in run.states()]
    return [
        (
            str(one.step),
            digest(one.model),
            one.mask and (digest(one.mask.tensors), one.mask.metadata),
            one.optimizer and digest(one.optimizer.tensors),
        )
        for one in found
    ]


def read_checkpoint(run: RunDirectory) -> Any:
    """What the run would continue from; an error if there is nothing though there should be."""
    found = run.latest_checkpoint(_ignore)
    return found and (str(found.step), digest(found.tensors), found.facts)


def read_seal(run: RunDirectory) -> Any:
    """A complete run that verifies, or an incomplete one that can continue."""
    run.verify()
    assert run.states() == [Step(3, 4)]
    if run.state is RunState.DONE:
        return run.done()
    return read_checkpoint(run)


def read_fact(run: RunDirectory) -> Any:
    """The JSON value."""
    return run.fact(Fact.SPARSITY)


def read_tables(run: RunDirectory) -> Any:
    """The measurements."""
    return run.metrics()


def read_description(run: RunDirectory) -> Any:
    """The description, where there is one."""
    return run.description(KINDS) if (run.path / HPARAMS).exists() else None


def read_claim(run: RunDirectory) -> Any:
    """Whether the run can be claimed."""
    claim = run.claim()
    assert claim is not None
    with claim:
        claim.check()
        numbers = [path.name for path in (run.path / "claim").iterdir()]
        return [name for name in numbers if name.isdecimal()] == [str(claim.number)]


def _ignore(_: str) -> None:
    """A damaged checkpoint is expected here."""


SCENARIOS: dict[str, Scenario] = {
    "json, first": Scenario(nothing, fact(1), read_fact),
    "json, again": Scenario(fact(1), fact(2), read_fact),
    "metrics, again": Scenario(tables(1), tables(2), read_tables),
    "description": Scenario(nothing, prepare, read_description),
    "state, first": Scenario(nothing, state(1), read_state),
    "state, same again": Scenario(state(1), state(1), read_state),
    "state, another": Scenario(state(1), state(2), read_state, between=([],)),
    "checkpoint, first": Scenario(nothing, checkpoint(1), read_checkpoint),
    "checkpoint, second": Scenario(checkpoint(1), checkpoint(2), read_checkpoint),
    "checkpoint, third": Scenario(checkpoint(1, 2), checkpoint(3), read_checkpoint),
    "checkpoint, over a damaged one": Scenario(damaged_newest, checkpoint(2), read_checkpoint),
    "seal": Scenario(trained, sealed, read_seal),
    "claim, first": Scenario(nothing, claimed, read_claim),
    "claim, after another": Scenario(claimed, claimed, read_claim),
}


def write_in_place(path: Path, data: bytes) -> None:
    """What must not be done."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, data)
    os.close(descriptor)
