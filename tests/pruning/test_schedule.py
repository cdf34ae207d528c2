"""How much is kept after each round."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundations.errors import UserError
from pruning.counts import count_of
from pruning.goal import Goal, goal_of
from pruning.hparams import PruningHparams
from pruning.schedule import Geometric

FRACTIONS = st.integers(0, 1000).map(lambda n: n / 1000)


def goal(total: int, fraction: float) -> Goal:
    """A fraction of all is cut."""
    return goal_of(PruningHparams(prune_fraction=fraction), total, total)


def exact(total: int, fraction: float) -> int:
    """The count to the nearest whole number, halves up, in whole numbers alone."""
    thousandths = Fraction(total * round(fraction * 1000), 1000)
    return int(thousandths + Fraction(1, 2))


@given(st.integers(0, 10**8), FRACTIONS, st.integers(1, 30))
def test_ends_at_the_count_asked_for(total: int, fraction: float, iterations: int) -> None:
    """Whatever the number of rounds, exactly the count asked for is cut in the end."""
    kept = Geometric(iterations).kept(goal(total, fraction))
    assert len(kept) == iterations
    assert kept[-1] == total - exact(total, fraction)


@given(st.integers(0, 10**6), FRACTIONS, st.integers(1, 30))
def test_never_rises(total: int, fraction: float, iterations: int) -> None:
    """No round keeps more than the one before, or less than the last."""
    kept = Geometric(iterations).kept(goal(total, fraction))
    assert list(kept) == sorted(kept, reverse=True)
    assert 0 <= kept[-1] <= kept[0] <= total


def test_geometric() -> None:
    """Each round cuts the same share of what remains: here, to a half."""
    assert Geometric(3).kept(goal(800, 0.875)) == (400, 200, 100)


def test_lottery_levels() -> None:
    """Three rounds of 20 % of what remains are one schedule to 1 - 0.8^3."""
    assert Geometric(3).kept(goal(1000, 0.488)) == (800, 640, 512)


@pytest.mark.parametrize(
    ("total", "fraction", "count"), [(10, 0.35, 4), (50, 0.29, 15), (5, 0.5, 3)]
)
def test_halves_go_up(total: int, fraction: float, count: int) -> None:
    """Halves are cut, and binary rounding (0.29 * 50 = 14.499...) has no say."""
    assert count_of(total, fraction) == count


def test_none_and_all() -> None:
    """Fractions 0 and 1 keep all and nothing, in every round."""
    assert Geometric(3).kept(goal(7, 0.0)) == (7, 7, 7)
    assert Geometric(3).kept(goal(7, 1.0)) == (0, 0, 0)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_fraction_out_of_range(fraction: float) -> None:
    """What is no fraction is refused."""
    with pytest.raises(UserError, match="between 0 and 1"):
        count_of(10, fraction)


def test_no_rounds() -> None:
    """There is at least one round."""
    with pytest.raises(UserError, match="at least 1"):
        PruningHparams(prune_iterations=0)
