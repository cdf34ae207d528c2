"""Run directories at every stage, written by hand: nothing is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import recipe_of
from branches.describing import branch, describe
from foundations.files import write_json
from foundations.run_directory import Fact
from foundations.steps import Step
from foundations.tables import Digest

if TYPE_CHECKING:
    from foundations.description import BranchDesc, Description
    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from foundations.store import Store
    from training.description import TrainDesc

PER_EPOCH = 23
"""Iterations an epoch of every run here."""

NEVER = "2999-01-01T00:00:00+00:00"
"""When a session was last heard of, so that it is not late by whatever clock."""


def dense(lr: float = 0.1, steps: str = "2ep", batch_size: int = 64) -> TrainDesc:
    """A run of 46 iterations."""
    return describe("digits_lenet_8", lr=lr, training_steps=steps, batch_size=batch_size)


def pruned(parent: Description, fraction: float = 0.5) -> BranchDesc:
    """A branch that needs the first state of its parent."""
    return branch(parent, "oneshot", prune_fraction=fraction)


def prepared(store: Store, description: Description, replicate: int = 1) -> RunDirectory:
    """A run that has its description and nothing else."""
    run = store.run(description, replicate)
    run.prepare(description, KINDS)
    return run


def begun(
    store: Store, description: Description, *, replicate: int = 1, reached: int = 0, end: int = 46
) -> RunDirectory:
    """A run that has begun, has its first state, and came to an iteration."""
    run = prepared(store, description, replicate)
    start = {
        "iteration": 0,
        "iterations_per_epoch": PER_EPOCH,
        "end": end,
        "replicate": replicate,
        "recipe": recipe_of(description).to_json_dict(),
        "sha256": "",
        "facts": {},
    }
    run.write_fact(Fact.START, start)
    save(run, 0)
    run.write_digests([Digest(at, at // PER_EPOCH, "") for at in (0, reached) if at or not reached])
    return run


def save(run: RunDirectory, iteration: int) -> None:
    """Let a run have a state, as far as anybody sees who does not load it."""
    step = Step.at(iteration, PER_EPOCH)
    place = run.path / "states" / step.folder
    write_json(place / "state.json", {"step": str(step), "sha256": {}})


def timed(
    run: RunDirectory, *sessions: tuple[float, int], device: str = "CPU", seen: str = NEVER
) -> RunDirectory:
    """Let a run have sessions of so many seconds and iterations."""
    facts = [session(*one, device=device, seen=seen) for one in sessions]
    run.write_fact(Fact.PROVENANCE, {"sessions": facts})
    return run


def session(
    seconds: float, iterations: int, *, device: str = "CPU", seen: str = NEVER
) -> dict[str, Json]:
    """The record of a session."""
    made = {"device_model": device, "threads": 1}
    return {"seconds": seconds, "iterations": iterations, "seen": seen, "fingerprint": made}


def finished(run: RunDirectory) -> RunDirectory:
    """Seal a run that has begun."""
    claim = run.claim()
    assert claim is not None
    with claim:
        run.seal(claim, {})
    return run


def failed(run: RunDirectory, reason: str = "The loss is nan.") -> RunDirectory:
    """Let a run have failed."""
    run.write_fact(Fact.FAILED, {"reason": reason})
    return run


def checkpointed(run: RunDirectory, iteration: int) -> RunDirectory:
    """Let a run have a checkpoint, as far as anybody sees who does not load it."""
    place = run.path / "checkpoint" / Step.at(iteration, PER_EPOCH).folder
    write_json(place / "checkpoint.json", {})
    return run
