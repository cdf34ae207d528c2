"""How much is kept after each round: one-shot, or in steps that are geometric in what remains.

The count asked for is met exactly: ``fraction`` of ``total`` rounded to the nearest whole number,
halves up, is cut in the end. The fraction is taken as the decimal it is written as (12 significant
digits), so that ``.35`` of 10 is 3.5 and cuts 4; binary rounding has no say.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Protocol

from foundations.errors import UserError


class Schedule(Protocol):
    """How a schedule looks to whoever prunes by it."""

    def kept(self, total: int, fraction: float) -> tuple[int, ...]:
        """How many of ``total`` are kept after each round; never rising, exact in the end."""


@dataclass(frozen=True)
class Geometric:
    """In round k of n, ``(1 - fraction) ** (k / n)`` of all is kept: the same share each round.

    One round is one-shot pruning. The shares are those of iterative pruning in "Pruning Neural
    Networks at Initialization: Why Are We Missing the Mark?" (Frankle et al. 2021); the counts are
    taken of the whole, not round by round, so that rounding never adds up.
    """

    iterations: int = 1

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise UserError(f"prune_iterations={self.iterations} is not allowed: at least 1.")

    def kept(self, total: int, fraction: float) -> tuple[int, ...]:
        """How many of ``total`` are kept after each round.

        Raises:
            UserError: The fraction is not between 0 and 1.
        """
        last = total - count_of(total, fraction)
        shares = [(1 - fraction) ** (k / self.iterations) for k in range(1, self.iterations)]
        before = [total - count_of(total, 1 - share) for share in shares]
        return (*(max(kept, last) for kept in before), last)


def count_of(total: int, fraction: float) -> int:
    """``fraction`` of ``total`` to the nearest whole number, halves up.

    Raises:
        UserError: The fraction is not between 0 and 1.
    """
    if not 0 <= fraction <= 1:
        raise UserError(f"prune_fraction={fraction!r} is not allowed: between 0 and 1.")
    exact = Decimal(f"{fraction:.12g}") * total
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
