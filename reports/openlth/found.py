"""The files of one run of OpenLTH, read: states, mask, measurements, and a checksum of them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundations.errors import UserError
from foundations.files import read_json, read_text
from foundations.steps import Step
from foundations.tables import Metric, metric_to_json
from foundations.tensors import digest
from pruning.mask import Mask
from reports.openlth.layout import LOGGER, MASK, SPARSITY
from training.weight_files import fit, read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from training.setting import Setting

_MODEL = re.compile(r"model_ep(\d+)_it(\d+)\.pth")
_INSIDE = "model."
"""What precedes every name where OpenLTH holds a network of torchvision's inside its own."""


@dataclass(frozen=True)
class Found:
    """What was saved of a run.

    Args:
        states: Weights and buffers by step, in order; what the mask cuts is zero.
        mask: What is kept; None is everything.
        metrics: The rows of its logger.
    """

    states: Mapping[Step, dict[str, Tensor]]
    mask: Mask | None
    metrics: tuple[Metric, ...]

    @property
    def begin(self) -> Step:
        """The step of the first state."""
        return next(iter(self.states))

    @property
    def content(self) -> str:
        """A sha256 over all of it."""
        parts = {
            "states": {str(step): digest(weights) for step, weights in self.states.items()},
            "mask": None if self.mask is None else digest(self.mask),
            "metrics": [metric_to_json(row) for row in self.metrics],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_found(folder: Path, setting: Setting) -> Found:
    """All that is saved in a folder.

    Args:
        folder: With ``model_ep0_it0.pth`` and so on.
        setting: Network and data by which it was trained.

    Raises:
        UserError: It has no state at its end; or a file is of another network, or no such file.
        DamageError: A file is cut short.
    """
    mask = _mask(folder, setting)
    states = {step: _weights(path, setting, mask) for step, path in _files(folder, setting)}
    return Found(states, mask, tuple(_metrics(folder / LOGGER, setting)))


def _files(folder: Path, setting: Setting) -> list[tuple[Step, Path]]:
    """The files of states in the order of steps, the last one's that of the end."""
    per_epoch, end = setting.iterations_per_epoch, setting.end
    matches = {path: _MODEL.fullmatch(path.name) for path in folder.iterdir()}
    steps = {path: Step(int(m[1]), int(m[2])) for path, m in matches.items() if m}
    beyond = [step for step in steps.values() if step.iteration >= per_epoch]
    if beyond:
        raise UserError(
            f"it has a state at {beyond[0]}, and {setting.data.name} has {per_epoch} iterations "
            "an epoch here: it is not the same data"
        )
    at = sorted(
        (step.iterations(per_epoch), step, path)
        for path, step in sorted(steps.items())
        if step.iterations(per_epoch) <= end
    )
    if not at or at[-1][0] != end:
        last = f"its last state is at {at[-1][1]}" if at else "it has no state"
        raise UserError(
            f"it is incomplete: {last}, and its training ends at {Step.at(end, per_epoch)}"
        )
    return [(step, path) for _, step, path in at]


def _weights(path: Path, setting: Setting, mask: Mask | None) -> dict[str, Tensor]:
    """A state as here: by our names, with zeros where the mask cuts.

    OpenLTH masks in the forward pass alone, so that what it saves has values there that it never
    computed with.
    """
    network = setting.network()
    named = _named(read_weights(path))
    try:
        weights = fit(named, network.state_dict(), setting.recipe.model.model_name)
    except UserError as error:
        raise UserError(f"{path.name}: {error}") from error
    return weights if mask is None else mask.apply(weights)


def _mask(folder: Path, setting: Setting) -> Mask | None:
    """The mask; None where there is none, or it cuts nothing."""
    path = folder / MASK
    if not path.exists():
        return None
    named = _named(read_weights(path))
    if any(not ((value == 0) | (value == 1)).all() for value in named.values()):
        raise UserError(f"{MASK} is no mask: it holds other values than 0 and 1")
    mask = Mask({name: value != 0 for name, value in named.items()})
    own = setting.network().state_dict()
    mask.check({name: tuple(value.shape) for name, value in own.items()})
    _check_counts(mask, folder / SPARSITY)
    return mask if mask.kept < mask.total else None


def _check_counts(mask: Mask, report: Path) -> None:
    """Refuse a mask that has other counts than the report beside it."""
    if not report.exists():
        return
    counts = read_json(report)
    said = (counts.get("unpruned"), counts.get("total")) if isinstance(counts, dict) else None
    if said != (mask.kept, mask.total):
        raise UserError(
            f"{MASK} keeps {mask.kept:,} of {mask.total:,} weights, and {SPARSITY} says otherwise"
        )


def _named(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names that they have here."""
    inside = all(name.startswith(_INSIDE) for name in stored)
    return {name.removeprefix(_INSIDE) if inside else name: v for name, v in stored.items()}


def name_here(layer: str) -> str:
    """The name that a layer has here."""
    return layer.removeprefix(_INSIDE)


def _metrics(path: Path, setting: Setting) -> list[Metric]:
    """The rows of a logger, by time; none where there is none."""
    try:
        lines = read_text(path).split("\n")
    except FileNotFoundError:
        return []
    found = [_metric(line, path, setting) for line in lines if line.strip()]
    return sorted(found, key=lambda row: row.iteration)


def _metric(line: str, path: Path, setting: Setting) -> Metric:
    try:
        name, iteration, value = line.strip().split(",")
        at, number = int(iteration), float(value)
    except ValueError:
        raise UserError(f"{path.name} cannot be understood: {line.strip()!r}") from None
    phase, _, what = name.partition("_")
    if at < 0 or not phase:
        raise UserError(f"{path.name} cannot be understood: {line.strip()!r}")
    return Metric(at, at // setting.iterations_per_epoch, phase, what or "value", number)
