"""Where pruning ends: the count that the hyperparameters ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from foundations.errors import UserError
from pruning.counts import kept_of

if TYPE_CHECKING:
    from pruning.hparams import PruningHparams


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


def goal_of(hparams: PruningHparams, kept: int, total: int) -> Goal:
    """Where pruning ends, by the convention that the hyperparameters state.

    The fraction asked for is met to the nearest whole number, halves up.

    Args:
        hparams: They give the fraction, and what it is a fraction of.
        kept: How many are kept so far.
        total: How many there are.

    Raises:
        UserError: More is cut already than is asked for in all.
    """
    fraction, convention = asked_fraction(hparams), hparams.prune_fraction_of
    after = left_by(fraction, convention, kept=kept, total=total)
    if convention == "remaining":
        return Goal(kept, after, fraction, total)
    return goal_at(after, kept, total)


def goal_at(after: int, kept: int, total: int) -> Goal:
    """The goal to keep so many in the end."""
    return Goal(kept, after, 1 - after / kept if kept else 0.0, total)


def asked_fraction(hparams: PruningHparams) -> float:
    """The fraction asked for: the last, where there is a list."""
    return hparams.prune_fractions[-1] if hparams.prune_fractions else hparams.prune_fraction


def left_by(fraction: float, convention: str, *, kept: int, total: int) -> int:
    """How many a fraction leaves; see ``kept_of``.

    Raises:
        UserError: More than there are left.
    """
    after = kept_of(fraction, convention, kept=kept, total=total)
    if after > kept:
        raise UserError(
            f"prune_fraction={fraction} of {convention} keeps {after:,} of {total:,}, but only "
            f"{kept:,} are left. A fraction of what is left is --prune_fraction_of=remaining."
        )
    return after
