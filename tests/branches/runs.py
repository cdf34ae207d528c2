"""Runs that are so small that they can be killed hundreds of times, and what they leave."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from branches.interleaved import Interleaved
from branches.oneshot import Oneshot
from branches.run import Job, complete, state_of
from commands.progress import Silent
from foundations.description import BranchDesc
from foundations.run_directory import DIGESTS, DONE, METRICS
from foundations.steps import Step
from foundations.store import Store
from models.presets import preset
from platforms.local import Local
from platforms.stop import Stop
from training.context import Context
from training.description import TrainDesc
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from foundations.description import Description
    from foundations.run_directory import RunDirectory
    from training.context import Reporter

STEPS = 12
PER_EPOCH = 3
"""Iterations in an epoch of ``dense()``: 1,438 digits in batches of 512."""

DECAYED = {"momentum": 0.9, "weight_decay": 5e-4}


def dense(**flags: object) -> TrainDesc:
    """A small network for 12 iterations, four epochs of three."""
    small = {"model_name": "digits_lenet_8", "batch_size": 512, "training_steps": f"{STEPS}it"}
    return TrainDesc.from_flat(preset("digits_lenet") | small | flags)


def pruned(parent: Description | None = None, **hparams: Any) -> BranchDesc:
    """A oneshot branch of ``dense()`` or of another run; steps are text."""
    parsed: dict[str, Any] = {
        name: Step.parse(value) if name.endswith("_step") else value
        for name, value in hparams.items()
    }
    return BranchDesc(parent=parent or dense(), branch=Oneshot(**parsed))


def options(**flags: object) -> RunOptions:
    """Options by their flags; steps are text."""
    return RunOptions.from_dict(flags)


@dataclass(frozen=True)
class Example:
    """A command: what to run and what to record of it."""

    description: Description
    options: RunOptions = field(default_factory=RunOptions)


EXAMPLES: Mapping[str, Example] = {
    "no checkpoints": Example(dense()),
    "checkpoints amid epochs": Example(
        dense(**DECAYED), options(checkpoint_every="5it", weight_save_steps="4it,7it")
    ),
    "adam, augmented": Example(
        dense(optimizer_name="adam", lr=0.01, augment_crop=1, augment_rotation=10.0),
        options(checkpoint_every="2it"),
    ),
    "pruned amid training": Example(
        pruned(dense(**DECAYED), prune_step="2it", state_step="4it"),
        options(checkpoint_every="2it"),
    ),
    "pruned while training": Example(
        BranchDesc(
            parent=dense(**DECAYED),
            branch=Interleaved(
                prune_after=Step(0, 1),
                prune_every=Step(0, 2),
                prune_iterations=4,
                granularity="nodes",
                strategy="wg",
                track="average",
                track_batches=2,
                preserve_momentum=True,
            ),
        ),
        options(checkpoint_every="2it", weight_save_steps="5it"),
    ),
}

SHORT: Mapping[str, Example] = {
    "trained": Example(dense(training_steps="2it"), options(checkpoint_every="1it")),
    "pruned": Example(pruned(dense(training_steps="1it"))),
}
"""Every kind of file is written, and few often."""


def context(
    root: Path,
    reporter: Reporter | None = None,
    recorded: RunOptions | None = None,
    stop: Stop | None = None,
) -> Context:
    """One thread of the CPU, and the data that lies beside the root."""
    data_root = str(root.parent / "data")
    platform = Local(root=str(root), data_root=data_root, device="cpu", threads=1)
    return Context(platform, reporter or Silent(), recorded or RunOptions(), stop or Stop())


def run(
    root: Path, description: Description, recorded: RunOptions | None = None, replicate: int = 1
) -> RunDirectory:
    """The run, carried out in this process."""
    return complete(Job(description, replicate), context(root, None, recorded))


def begun(root: Path, example: Example) -> None:
    """A root in which the first states of the example's parents are there, and nothing else."""
    root.mkdir()
    for parent in example.description.runs():
        state_of(dataclasses.replace(parent, step=Step()), 1, context(root))


def contents(root: Path) -> dict[str, bytes]:
    """All that two executions of one description have in common, by path below the root.

    Left out are the record of the executions and the claim; and of a run that waits for somebody
    who wants more of it, all but its states.
    """
    return {
        str(path.relative_to(root)): path.read_bytes()
        for found in Store(root).runs()
        for path in sorted(found.path.rglob("*"))
        if path.is_file() and _is_promised(found, path)
    }


def _is_promised(found: RunDirectory, path: Path) -> bool:
    first = path.relative_to(found.path).parts[0]
    if not (found.path / DONE).exists() and first in {"checkpoint", METRICS, DIGESTS}:
        return False
    return first not in {"provenance.json", "claim"}
