"""Which fraction of a network has to be kept for an accuracy: numbers of whole curves, not of runs.

A curve is the accuracies of runs that keep falling fractions. Between two of them it is a straight
line over the logarithm of the fraction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from branches.opened import Run


@dataclass(frozen=True)
class Allowed:
    """The smallest fraction at which a curve is still near the accuracy of the unpruned network.

    Args:
        kept: The fractions of the runs behind the first, falling; the first keeps everything.
        loss: How much less accurate than the first they may be, in [0, 1].
    """

    kept: tuple[float, ...]
    loss: float

    def __call__(self, *runs: Run) -> float | None:
        """The fraction, of those that were measured; 1 where none of them is near."""
        found = accuracies(runs)
        if found is None:
            return None
        near = [
            kept
            for kept, accuracy in zip((1.0, *self.kept), found, strict=True)
            if accuracy >= found[0] - self.loss
        ]
        return min(near)


@dataclass(frozen=True)
class RateOf:
    """The fraction at which a curve falls to an accuracy.

    Args:
        kept: As in ``Allowed``.
        accuracy: Which, in [0, 1].
    """

    kept: tuple[float, ...]
    accuracy: float

    def __call__(self, *runs: Run) -> float | None:
        """The fraction; None where the curve does not fall so far, or does not begin above."""
        found = accuracies(runs)
        return None if found is None else crossing((1.0, *self.kept), found, self.accuracy)


@dataclass(frozen=True)
class BestAtRateOf:
    """How accurate the best of several curves is at the fraction where a first one falls so low.

    Args:
        kept: As in ``Allowed``.
        accuracy: To which the first curve falls, in [0, 1].
    """

    kept: tuple[float, ...]
    accuracy: float

    def __call__(self, unpruned: Run, *runs: Run) -> float | None:
        """The accuracy; None where the first curve does not cross.

        Args:
            unpruned: What all curves begin with.
            runs: The first curve's, the next one's, ...: a run for each fraction.
        """
        found = accuracies((unpruned, *runs))
        if found is None:
            return None
        size, fractions = len(self.kept), (1.0, *self.kept)
        curves = [(found[0], *found[begin : begin + size]) for begin in range(1, len(found), size)]
        at = crossing(fractions, curves[0], self.accuracy)
        return None if at is None else max(height(fractions, curve, at) for curve in curves[1:])


def crossing(kept: Sequence[float], found: Sequence[float], accuracy: float) -> float | None:
    """The fraction at which a curve first falls to an accuracy, from large to small fractions.

    Args:
        kept: Fractions in (0, 1], falling.
        found: The accuracy at each.
        accuracy: To which it falls.
    """
    for (left, above), (right, below) in pairwise(zip(kept, found, strict=True)):
        if above >= accuracy >= below:
            part = (above - accuracy) / (above - below) if above > below else 0.0
            return math.exp(_between(math.log(left), math.log(right), part))
    return None


def height(kept: Sequence[float], found: Sequence[float], at: float) -> float:
    """The accuracy of a curve at a fraction within its range."""
    for (left, one), (right, other) in pairwise(zip(kept, found, strict=True)):
        if right <= at <= left:
            part = (math.log(left) - math.log(at)) / (math.log(left) - math.log(right))
            return _between(one, other, part)
    raise ValueError(f"{at} lies outside of {kept[-1]} to {kept[0]}.")


def accuracies(runs: Sequence[Run]) -> list[float] | None:
    """The test accuracies in the end; None where a run has none."""
    found = [run.accuracy for run in runs]
    measured = [accuracy for accuracy in found if accuracy is not None]
    return measured if len(measured) == len(found) else None


def _between(one: float, other: float, part: float) -> float:
    return one + part * (other - one)
