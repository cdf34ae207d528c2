"""How much is kept after each round: one-shot, or in steps of one curve or another.

The counts are taken of the whole, not round by round, so that rounding never adds up, and the last
is the goal's. Where a parent is pruned already, the curve begins at what it keeps.
"""

from __future__ import annotations

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
class Rounds:
    """So many rounds; one of them is one-shot pruning. Base of the schedules that are a curve."""

    iterations: int = 1

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """With as many rounds as are asked for."""
        return cls(subject.hparams.prune_iterations)

    @property
    def times(self) -> list[float]:
        """The part of the way behind at the end of each round but the last."""
        return [k / self.iterations for k in range(1, self.iterations)]


@dataclass(frozen=True)
class Geometric(Rounds):
    """At time t, ``(1 - fraction) ** t`` of all is kept: the same share goes each round.

    The shares are those of iterative pruning in "Pruning Neural Networks at Initialization: Why
    Are We Missing the Mark?" (Frankle et al. 2021), and of the levels of the lottery ticket
    experiments (Frankle & Carbin 2019).
    """

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round."""
        return at_shares(goal, [(1 - goal.fraction) ** time for time in self.times])


@dataclass(frozen=True)
class Linear(Rounds):
    """At time t, ``1 - fraction * t`` of all is kept: as many go each round."""

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round."""
        return at_shares(goal, [1 - goal.fraction * time for time in self.times])


@dataclass(frozen=True)
class Cubic(Rounds):
    """At time t, the sparsity is ``final + (initial - final) * (1 - t) ** 3``: most go at first.

    "To prune, or not to prune: exploring the efficacy of pruning for model compression" (Zhu &
    Gupta 2018), equation 1, with a step at the end of each round.
    """

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round."""
        return at_shares(goal, [1 - goal.fraction * (1 - (1 - time) ** 3) for time in self.times])


@dataclass(frozen=True)
class GradientFlow(Rounds):
    """In round k of n, ``p / (k p + n (1 - p))`` of what remains goes: more at first.

    "A Gradient Flow Framework for Analyzing Network Pruning" (Lubana & Dick 2021), p the fraction
    to be cut in all. So ``(1 - p) / (1 - p (1 - t))`` is kept at time t: its inverse is linear.
    """

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round."""
        left = 1 - goal.fraction
        return at_shares(goal, [left / (left + goal.fraction * time) for time in self.times])


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
