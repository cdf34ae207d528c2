"""What is measured on the straight line between two networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pruning.mask import Mask
from training.measures.accuracy import evaluate
from training.measures.recalibration import recalibrated
from training.measures.subject import Subject
from training.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from training.setting import Setting

    Measured = tuple[str, str, float]
    """Split, name, value."""


@dataclass(frozen=True)
class Line:
    """The networks between two states.

    Args:
        first: Where the line begins, at 0.
        second: Where it ends, at 1.
        mask: What either keeps; on the line all else is zero. None is everything.
        setting: Network, data and device.
    """

    first: dict[str, Tensor]
    second: dict[str, Tensor]
    mask: Mask | None
    setting: Setting

    @classmethod
    def between(cls, first: State, second: State, setting: Setting) -> Line:
        """The line between two states of one network."""
        mask = _either(first.mask, second.mask)
        return cls(first.weights, second.weights, mask, setting)

    def state(self, place: float, iteration: int = 0) -> State:
        """The network at a place from 0 to 1; at both ends exactly what is there."""
        weights = {
            name: torch.lerp(value, self.second[name], place)
            if value.is_floating_point()
            else value
            for name, value in self.first.items()
        }
        return State(iteration, weights, self.mask)

    def measured(
        self, points: int, splits: Sequence[str], *, recalibrate: bool = False
    ) -> tuple[Measured, ...]:
        """Accuracy and loss at so many places, as far from each other: ``accuracy at 0.5``.

        Args:
            points: How many, both ends included.
            splits: On what.
            recalibrate: Whether batch norms get the statistics that they would have there.
        """
        found: list[Measured] = []
        for point in range(points):
            place = point / (points - 1)
            subject = Subject.of(self.setting, self.state(place))
            subject = recalibrated(subject) if recalibrate else subject
            for part in evaluate(subject, splits):
                rows = part["metrics"].items()
                found += [(part["split"], f"{name} at {place:.4g}", value) for name, value in rows]
        return tuple(found)


def instability(measured: Sequence[Measured], split: str) -> float:
    """How much the largest error on the line is above the mean of those of its ends.

    ``sup_a E(a) - (E(0) + E(1)) / 2`` (Frankle et al. 2020, section 2), in [0, 1], E being the
    fraction of examples that are classified wrong.

    Args:
        measured: In the order of places.
        split: On what.
    """
    errors = [
        1 - value for of, name, value in measured if of == split and name.startswith("accuracy")
    ]
    return max(errors) - (errors[0] + errors[-1]) / 2


def _either(first: Mask | None, second: Mask | None) -> Mask | None:
    """What one of them keeps, or both."""
    if first is None or second is None:
        return None
    names = [name for name in first if name in second]
    return Mask({name: first[name] | second[name] for name in names})
