"""How much is kept after each round: one-shot, or in steps that are geometric in what remains.

The count asked for is met exactly: ``fraction`` of ``total`` rounded to the nearest whole number,
halves up, is cut in the end. The fraction is taken as the decimal it is written as (12 significant
digits), so that ``.35`` of 10 is 3.5 and cuts 4; binary rounding has no say.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pruning.hparams import PruningHparams
    from pruning.subject import Subject


class Goal(NamedTuple):
    """Where pruning begins and where it ends."""

    before: int
    """How many are kept before the first round."""
    after: int
    """How many are kept in the end: exactly."""
    fraction: float
    """The fraction of ``before`` that is cut, not rounded to whole numbers."""
    total: int
    """How many there are, those cut before included."""


class Schedule(Protocol):
    """How a schedule looks to whoever prunes by it."""

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round; never rising, and ``goal.after`` in the end."""


@dataclass(frozen=True)
class Geometric:
    """In round k of n, ``(1 - fraction) ** (k / n)`` of all is kept: the same share each round.

    One round is one-shot pruning. The shares are those of iterative pruning in "Pruning Neural
    Networks at Initialization: Why Are We Missing the Mark?" (Frankle et al. 2021); the counts are
    taken of the whole, not round by round, so that rounding never adds up.
    """

    iterations: int = 1

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """With as many rounds as are asked for."""
        return cls(subject.hparams.prune_iterations)

    def kept(self, goal: Goal) -> tuple[int, ...]:
        """How many are kept after each round."""
        shares = [(1 - goal.fraction) ** (k / self.iterations) for k in range(1, self.iterations)]
        return at_shares(goal, shares)


def at_shares(goal: Goal, shares: Sequence[float]) -> tuple[int, ...]:
    """The counts that keep these shares of ``goal.before``, and then what the goal says.

    Args:
        goal: Where pruning begins and ends.
        shares: What all rounds but the last keep.
    """
    before = [goal.before - count_of(goal.before, 1 - share) for share in shares]
    return (*(max(kept, goal.after) for kept in before), goal.after)


def goal_of(hparams: PruningHparams, kept: int, total: int) -> Goal:
    """Where pruning ends, by the convention that the hyperparameters state.

    Args:
        hparams: They give the fraction, and what it is a fraction of.
        kept: How many are kept so far.
        total: How many there are.

    Raises:
        UserError: More is cut already than is asked for in all.
    """
    fraction, convention = hparams.prune_fraction, hparams.prune_fraction_of
    if convention == "remaining":
        return Goal(kept, kept - count_of(kept, fraction), fraction, total)
    cut = count_of(total, fraction)
    after = total - cut if convention == "all" else cut
    if after > kept:
        raise UserError(
            f"prune_fraction={fraction} of {convention} keeps {after:,} of {total:,}, but only "
            f"{kept:,} are left. A fraction of what is left is --prune_fraction_of=remaining."
        )
    return Goal(kept, after, 1 - after / kept if kept else 0.0, total)


def count_of(total: int, fraction: float) -> int:
    """``fraction`` of ``total`` to the nearest whole number, halves up.

    Raises:
        UserError: The fraction is not between 0 and 1.
    """
    if not 0 <= fraction <= 1:
        raise UserError(f"prune_fraction={fraction!r} is not allowed: between 0 and 1.")
    exact = Decimal(f"{fraction:.12g}") * total
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
