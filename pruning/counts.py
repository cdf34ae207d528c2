"""How fractions become whole numbers, and how a whole number is divided into whole numbers.

A fraction is taken as the decimal it is written as (12 significant digits), so that ``.35`` of 10
is 3.5 and is rounded to 4; binary rounding has no say.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence


def count_of(total: int, fraction: float) -> int:
    """``fraction`` of ``total`` to the nearest whole number, halves up.

    Raises:
        UserError: The fraction is not between 0 and 1.
    """
    if not 0 <= fraction <= 1:
        raise UserError(f"The fraction {fraction!r} is not allowed: between 0 and 1.")
    return int(_exactly(total, fraction).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def at_least(total: int, fraction: float) -> int:
    """``fraction`` of ``total`` to the next whole number."""
    return int(_exactly(total, fraction).quantize(Decimal(1), rounding=ROUND_CEILING))


def kept_of(fraction: float, convention: str, *, kept: int, total: int) -> int:
    """How many a fraction leaves, by the convention of ``prune_fraction_of``.

    Args:
        fraction: What is cut of those that are kept so far (``remaining``), or of ``all``; or what
            is ``kept`` of all.
        convention: One of the three.
        kept: How many are kept so far.
        total: How many there are. What comes out may be more than ``kept``, but for ``remaining``.
    """
    if convention == "remaining":
        return kept - count_of(kept, fraction)
    return count_of(total, fraction) if convention == "kept" else total - count_of(total, fraction)


def apportioned(
    count: int,
    sizes: Sequence[float | Fraction],
    least: Sequence[int] | None = None,
    most: Sequence[int] | None = None,
) -> list[int]:
    """``count`` divided in proportion to the sizes, by largest remainders; ties go by position.

    What would be more than its limit gets that, and the others share what is left; likewise what
    would be less. All is computed in fractions: nothing is rounded before the end.

    Args:
        count: What is divided.
        sizes: Not negative, and not all zero unless ``count`` is.
        least: The fewest that each may get; none, by default.
        most: The most that each may get; all, by default.

    Raises:
        ValueError: The limits leave no way to divide it.
    """
    lows, highs = least or [0] * len(sizes), most or [count] * len(sizes)
    exact = _levelled(count, [Fraction(size) for size in sizes], lows, highs)
    parts = [int(share) for share in exact]
    order = sorted(range(len(sizes)), key=lambda at: (parts[at] - exact[at], at))
    for at in order[: count - sum(parts)]:
        parts[at] += 1
    return parts


def _levelled(
    count: int, sizes: Sequence[Fraction], lows: Sequence[int], highs: Sequence[int]
) -> list[Fraction]:
    """``level * size``, each within its limits, at the level where they add up to the count."""

    def filled(level: Fraction) -> list[Fraction]:
        within = zip(sizes, lows, highs, strict=True)
        return [min(max(size * level, Fraction(low)), Fraction(high)) for size, low, high in within]

    bounds = [(size, limits) for size, *limits in zip(sizes, lows, highs, strict=True) if size]
    edges = sorted({Fraction(0), *(limit / size for size, limits in bounds for limit in limits)})
    sums = [sum(filled(edge), Fraction()) for edge in edges]
    after = bisect_right(sums, count)
    if after == 0 or (after == len(edges) and sums[-1] < count):
        raise ValueError(f"{count} cannot be divided within {list(lows)} and {list(highs)}.")
    if sums[after - 1] == count:
        return filled(edges[after - 1])
    part = (count - sums[after - 1]) / (sums[after] - sums[after - 1])
    return filled(edges[after - 1] + part * (edges[after] - edges[after - 1]))


def _exactly(total: int, fraction: float) -> Decimal:
    return Decimal(f"{fraction:.12g}") * total
