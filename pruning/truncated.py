"""How much is kept after each round where counts, or percentages, are rounded down in each.

The original code of "A Gradient Flow Framework for Analyzing Network Pruning" (Lubana & Dick 2021)
does so: its rounds do not end at the fraction that is asked for. ``schedule.GradientFlow`` is what
it means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pruning.goal import Goal
    from pruning.subject import Subject


@dataclass(frozen=True)
class _Truncated(ABC):
    """Rounds, in the k-th of which ``p / (k p + n (1 - p))`` of what remains is to go."""

    iterations: int = 1

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """With as many rounds as are asked for."""
        return cls(subject.hparams.prune_iterations)

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round; not ``goal.after`` in the end."""
        p, n = goal.fraction, self.iterations
        ratios = [p / (k * p + n * (1 - p)) for k in range(1, n + 1)]
        return tuple(self.counts(goal.before, ratios))

    @abstractmethod
    def counts(self, base: int, ratios: Sequence[float]) -> Iterator[int]:
        """What each round leaves of ``base``."""


@dataclass(frozen=True)
class GradientFlowTruncated(_Truncated):
    """The number that goes in a round is rounded down: the original's VGG and MobileNet.

    A little more is kept than is asked for.
    """

    def counts(self, base: int, ratios: Sequence[float]) -> Iterator[int]:
        """What is left."""
        left = base
        for ratio in ratios:
            left -= int(ratio * left)
            yield left


@dataclass(frozen=True)
class GradientFlowPercents(_Truncated):
    """The percentage that is kept is rounded down to a whole one in each round: its ResNets.

    Far more goes than is asked for: 82 % for 75 % in 25 rounds, all for 95 % in 20.
    """

    def counts(self, base: int, ratios: Sequence[float]) -> Iterator[int]:
        """What is left."""
        percent, left = 100, base
        for ratio in ratios:
            percent = int(percent * (1 - ratio))
            left -= int((1 - (percent / 100) * base / left) * left) if left else 0
            yield left
