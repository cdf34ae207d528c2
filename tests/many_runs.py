"""Many finished runs in no time: a few are trained, the others are copies under other names.

A copy is a whole run to everybody who reads it: its description, start, replicate and seal are its
own, and each checksum is right. Its states and measures are those of the run it was copied from,
which differs in the learning rate, or the replicate, alone.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import count, islice
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import recipe_of
from branches.describing import branch, describe
from branches.run import Job, complete
from commands.progress import Silent
from foundations.description import BranchDesc
from foundations.files import sha256_of
from foundations.store import Store
from platforms.local import Local
from training.context import Context
from training.description import TrainDesc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from foundations.description import Description
    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory

LEVELS = 9
"""Each dense run has so many branches, pruned at 1 - 0.8^k."""

_REPLICATES = (1, 2)


def many_runs(root: Path, number: int = 1000, *, steps: str = "2ep") -> list[RunDirectory]:
    """Fill a root with finished runs: dense ones, each followed by its pruned branches.

    Args:
        root: Where they are put; it may not exist yet.
        number: How many. A tenth are dense, and every other ten are second replicates.
        steps: How long each trained: the rows of its metrics are thrice its epochs.
    """
    templates = _trained(root.with_name(f".{root.name}.templates"), steps)
    wanted = islice(_copies(templates), number)
    made = [_copy(template, described, number, root) for template, described, number in wanted]
    shutil.rmtree(templates[0].path.parents[2])
    return made


def _family(lr: float, steps: str) -> list[Description]:
    """A dense run and its branches."""
    dense = describe("digits_lenet_8", lr=lr, training_steps=steps)
    return [
        dense,
        *(branch(dense, "oneshot", prune_fraction=1 - 0.8**k) for k in range(1, LEVELS + 1)),
    ]


def _trained(root: Path, steps: str) -> list[RunDirectory]:
    """A family that is trained for real, one run for each place in it."""
    place = Local(root=str(root / "runs"), data_root=str(root / "data"), threads=1)
    context = Context(place, Silent())
    return [complete(Job(made), context) for made in _family(0.1, steps)]


def _copies(templates: list[RunDirectory]) -> Iterator[tuple[RunDirectory, Description, int]]:
    """What is copied, as what, and under which number, without an end."""
    family = [template.description(KINDS) for template in templates]
    for thousandths in count(100):
        described = [_with_lr(made, thousandths / 1000) for made in family]
        for replicate in _REPLICATES:
            for template, made in zip(templates, described, strict=True):
                yield template, made, replicate


def _with_lr(made: Description, lr: float) -> Description:
    """The same run, or branch of a run, trained at another learning rate."""
    if isinstance(made, BranchDesc):
        return replace(made, parent=_with_lr(made.parent, lr))
    assert isinstance(made, TrainDesc)
    return replace(made, training=replace(made.training, lr=lr))


def _copy(template: RunDirectory, made: Description, replicate: int, root: Path) -> RunDirectory:
    """A finished run with the states and measures of the template."""
    run = Store(root).run(made, replicate)
    shutil.copytree(template.path, run.path)
    start = _read(run.path / "start.json") | {
        "replicate": replicate,
        "recipe": recipe_of(made).to_json_dict(),
    }
    _write(run.path / "hparams.json", made.to_json_dict())
    _write(run.path / "start.json", start)
    seal = _read(run.path / "done.json") | {"replicate": replicate}
    seal["sha256"] = {name: sha256_of(run.path / name) for name in seal["sha256"]}
    _write(run.path / "done.json", seal)
    return run


def _read(path: Path) -> Json:
    return json.loads(path.read_text())


def _write(path: Path, value: Json) -> None:
    """As a run writes it, but for the wait until it is on the disk."""
    path.write_text(json.dumps(value, indent=2) + "\n")
