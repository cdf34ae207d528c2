"""Fractions as whole numbers, and whole numbers divided."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundations.errors import UserError
from pruning.counts import apportioned, at_least, count_of, kept_of

ROOMS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 30), st.integers(1, 50)), min_size=1, max_size=6
)
"""The least, what there is above it, and the size, of each."""


@given(ROOMS, st.data())
def test_apportioned_within_limits(rooms: list[tuple[int, int, int]], data: st.DataObject) -> None:
    """It adds up, no part is beyond a limit, and those within theirs are in proportion."""
    low = [least for least, _, _ in rooms]
    high = [least + more for least, more, _ in rooms]
    sizes = [size for _, _, size in rooms]
    count = data.draw(st.integers(sum(low), sum(high)))
    parts = apportioned(count, sizes, low, high)
    assert sum(parts) == count
    assert all(a <= part <= b for a, part, b in zip(low, parts, high, strict=True))
    free = [
        (part, size)
        for a, part, size, b in zip(low, parts, sizes, high, strict=True)
        if a < part < b
    ]
    levels = [((part - 1) / size, (part + 1) / size) for part, size in free]
    assert not levels or max(a for a, _ in levels) <= min(b for _, b in levels)


@given(st.integers(0, 1000), st.lists(st.integers(1, 99), min_size=1, max_size=6))
def test_apportioned_is_largest_remainders(count: int, sizes: list[int]) -> None:
    """Without limits each has its share rounded down, and the largest remainders one more."""
    exact = [Fraction(count * size, sum(sizes)) for size in sizes]
    left = count - sum(int(share) for share in exact)
    ranked = sorted(range(len(sizes)), key=lambda at: (int(exact[at]) - exact[at], at))
    expected = [int(share) + (at in ranked[:left]) for at, share in enumerate(exact)]
    assert apportioned(count, sizes) == expected


def test_apportioned_by_hand() -> None:
    """What one cannot hold the others share, ties by position; nothing comes of nothing."""
    assert apportioned(10, [1, 1, 1]) == [4, 3, 3]
    assert apportioned(10, [8, 1, 1], most=[2, 9, 9]) == [2, 4, 4]
    assert apportioned(10, [8, 1, 1], least=[0, 0, 5]) == [4, 1, 5]
    assert apportioned(0, [0, 0]) == [0, 0]
    assert apportioned(0, []) == []


@pytest.mark.parametrize(("count", "least", "most"), [(1, [1, 1], [5, 5]), (9, [0, 0], [4, 4])])
def test_apportioned_impossible(count: int, least: list[int], most: list[int]) -> None:
    """Limits that leave no way are an error."""
    with pytest.raises(ValueError, match="cannot be divided"):
        apportioned(count, [1, 2], least, most)


@pytest.mark.parametrize(
    ("total", "fraction", "count"), [(10, 0.35, 4), (50, 0.29, 15), (5, 0.5, 3)]
)
def test_halves_go_up(total: int, fraction: float, count: int) -> None:
    """Halves are cut, and binary rounding (0.29 * 50 = 14.499...) has no say."""
    assert count_of(total, fraction) == count


@pytest.mark.parametrize(("total", "fraction", "count"), [(100, 0.07, 7), (10, 0.01, 1), (9, 0, 0)])
def test_at_least(total: int, fraction: float, count: int) -> None:
    """A part of one is one; binary rounding (0.07 * 100 = 7.000...1) has no say."""
    assert at_least(total, fraction) == count


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_fraction_out_of_range(fraction: float) -> None:
    """What is no fraction is refused."""
    with pytest.raises(UserError, match="between 0 and 1"):
        count_of(10, fraction)


@pytest.mark.parametrize(("convention", "left"), [("remaining", 40), ("all", 80), ("kept", 20)])
def test_conventions(convention: str, left: int) -> None:
    """A fifth of 50 left of 100: of what remains, of all, and of all that is kept."""
    assert kept_of(0.2, convention, kept=50, total=100) == left
