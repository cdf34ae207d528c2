"""How much is kept after each round: one-shot, or in steps of one curve or another.

The counts are taken of the whole, not round by round, so that rounding never adds up, and the last
is the goal's. Where a parent is pruned already, the curve begins at what it keeps.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from pruning.counts import count_of
from pruning.goal import left_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pruning.goal import Goal
    from pruning.subject import Subject


class Schedule(Protocol):
    """How a schedule looks to whoever prunes by it."""

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round; never rising, and ``goal.after`` in the end."""


@dataclass(frozen=True)
class Curve(ABC):
    """So many rounds along a curve; one round is one-shot pruning. A new one states ``share``."""

    iterations: int = 1

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """With as many rounds as are asked for."""
        return cls(subject.hparams.prune_iterations)

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round."""
        times = (k / self.iterations for k in range(1, self.iterations))
        return at_shares(goal, [self.share(goal.fraction, time) for time in times])

    @abstractmethod
    def share(self, fraction: float, time: float) -> float:
        """What share is kept when ``time`` of the way, between 0 and 1, to ``fraction`` is done."""


@dataclass(frozen=True)
class Geometric(Curve):
    """``(1 - fraction) ** time``: of what remains, the same share goes in each round.

    As in iterative pruning in "Pruning Neural Networks at Initialization: Why Are We Missing the
    Mark?" (Frankle et al. 2021), and in the levels of the lottery ticket experiments (Frankle &
    Carbin 2019).
    """

    def share(self, fraction: float, time: float) -> float:
        """What is kept."""
        return math.pow(1 - fraction, time)


@dataclass(frozen=True)
class Linear(Curve):
    """``1 - fraction * time``: as many go in each round."""

    def share(self, fraction: float, time: float) -> float:
        """What is kept."""
        return 1 - fraction * time


@dataclass(frozen=True)
class Cubic(Curve):
    """The sparsity is ``final + (initial - final) * (1 - time) ** 3``: most go at first.

    "To prune, or not to prune: exploring the efficacy of pruning for model compression" (Zhu &
    Gupta 2018), equation 1, with a step at the end of each round.
    """

    def share(self, fraction: float, time: float) -> float:
        """What is kept, of what the initial sparsity leaves."""
        return 1 - fraction * (1 - (1 - time) ** 3)


@dataclass(frozen=True)
class GradientFlow(Curve):
    """``(1 - p) / (1 - p (1 - time))``, p the fraction: the inverse of what is kept is linear.

    In round k of n, ``p / (k p + n (1 - p))`` of what remains goes: more at first. From "A Gradient
    Flow Framework for Analyzing Network Pruning" (Lubana & Dick 2021).
    """

    def share(self, fraction: float, time: float) -> float:
        """What is kept; ``time`` is not 0."""
        return (1 - fraction) / (1 - fraction + fraction * time)


@dataclass(frozen=True)
class Explicit:
    """Cumulative fractions, a round each."""

    fractions: tuple[float, ...]
    convention: str = "remaining"
    """What they are fractions of: see ``prune_fraction_of``."""

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """Those of ``prune_fractions``."""
        return cls(subject.hparams.prune_fractions, subject.hparams.prune_fraction_of)

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round.

        Raises:
            UserError: More is cut already than is asked for in the first rounds.
        """
        counts = {"kept": goal.before, "total": goal.total}
        return tuple(left_by(part, self.convention, **counts) for part in self.fractions)


def at_shares(goal: Goal, shares: Sequence[float]) -> tuple[int, ...]:
    """The counts that keep these shares of ``goal.before``, and then what the goal says.

    Args:
        goal: Where pruning begins and ends.
        shares: What all rounds but the last keep.
    """
    before = [goal.before - count_of(goal.before, 1 - share) for share in shares]
    return (*(max(kept, goal.after) for kept in before), goal.after)
