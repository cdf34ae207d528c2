"""How a whole number is divided into whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def apportioned(count: int, sizes: Sequence[float]) -> list[int]:
    """``count`` divided in proportion to the sizes, by largest remainders; ties go by position.

    Args:
        count: What is divided, not more than the sizes add up to where they are limits.
        sizes: Not negative, and not all zero unless ``count`` is.
    """
    total = sum(sizes)
    if not total:
        return [0 for _ in sizes]
    exact = [count * size / total for size in sizes]
    floors = [int(share) for share in exact]
    left = count - sum(floors)
    order = sorted(range(len(sizes)), key=lambda at: (floors[at] - exact[at], at))
    for at in order[:left]:
        floors[at] += 1
    return floors
