"""How much is kept after each round."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundations.errors import UserError
from pruning.goal import Goal, goal_at, goal_of
from pruning.hparams import PruningHparams
from pruning.schedule import Cubic, Curve, Explicit, Geometric, GradientFlow, Linear

if TYPE_CHECKING:
    from collections.abc import Callable

FRACTIONS = st.integers(0, 1000).map(lambda n: n / 1000)
CURVES: list[Callable[[int], Curve]] = [Geometric, Linear, Cubic, GradientFlow]


def goal(total: int, fraction: float) -> Goal:
    """A fraction of all is cut."""
    return goal_of(PruningHparams(prune_fraction=fraction), total, total)


def exact(total: int, fraction: float) -> int:
    """The count to the nearest whole number, halves up, in whole numbers alone."""
    thousandths = Fraction(total * round(fraction * 1000), 1000)
    return int(thousandths + Fraction(1, 2))


@given(st.sampled_from(CURVES), st.integers(0, 10**8), FRACTIONS, st.integers(1, 30))
def test_ends_at_the_count_asked_for(
    curve: Callable[[int], Curve], total: int, fraction: float, iterations: int
) -> None:
    """Whatever the curve and the number of rounds, exactly the count asked for is cut."""
    kept = curve(iterations).kept(goal(total, fraction))
    assert len(kept) == iterations
    assert kept[-1] == total - exact(total, fraction)


@given(
    st.sampled_from(CURVES),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(1, 30),
)
def test_never_rises(curve: Callable[[int], Curve], one: int, other: int, iterations: int) -> None:
    """No round keeps more than the one before, or less than the last, pruned parents included."""
    after, before = sorted((one, other))
    kept = curve(iterations).kept(goal_at(after, before, 10**6))
    assert [before, *kept] == sorted([before, *kept], reverse=True)
    assert kept[-1] == after


@pytest.mark.parametrize("curve", CURVES)
def test_none_and_all(curve: Callable[[int], Curve]) -> None:
    """Fraction 0 keeps all in every round, 1 nothing in the end; of nothing nothing is left."""
    assert curve(3).kept(goal(7, 0.0)) == (7, 7, 7)
    assert curve(3).kept(goal(7, 1.0))[-1] == 0
    assert curve(3).kept(goal(0, 0.5)) == (0, 0, 0)


def test_geometric() -> None:
    """Each round cuts the same share of what remains: here, to a half."""
    assert Geometric(3).kept(goal(800, 0.875)) == (400, 200, 100)


def test_lottery_levels() -> None:
    """Three rounds of 20 % of what remains are one schedule to 1 - 0.8^3."""
    assert Geometric(3).kept(goal(1000, 0.488)) == (800, 640, 512)


def test_granularity_rounds() -> None:
    """The published f^(k/R) for f = .125 in 5 rounds: .6598 .4353 .2872 .1895 .125."""
    kept = Geometric(5).kept(goal(10_000, 0.875))
    assert kept == (6598, 4353, 2872, 1895, 1250)


def test_linear() -> None:
    """As many go in each round."""
    assert Linear(4).kept(goal(1000, 0.8)) == (800, 600, 400, 200)


def test_cubic() -> None:
    """Sparsity 0.8 + (0 - 0.8)(1 - t)^3 at t = 1/4, 1/2, 3/4, 1."""
    sparsities = [0.8 - 0.8 * (1 - t / 4) ** 3 for t in range(1, 5)]
    expected = tuple(10_000 - round(10_000 * sparsity) for sparsity in sparsities)
    assert Cubic(4).kept(goal(10_000, 0.8)) == expected == (5375, 3000, 2125, 2000)


def test_cubic_begins_at_the_sparsity_of_the_parent() -> None:
    """With a parent at sparsity 0.5: 0.9 + (0.5 - 0.9)(1 - t)^3."""
    kept = Cubic(2).kept(goal_of(PruningHparams(prune_fraction=0.8), 500, 1000))
    assert kept == (1000 - round(1000 * (0.9 - 0.4 / 8)), 100)


@pytest.mark.parametrize(("fraction", "rounds"), [(0.75, 25), (0.6, 5), (0.95, 20)])
def test_gradient_flow(fraction: float, rounds: int) -> None:
    """Round k cuts p / (k p + n (1 - p)) of what the rounds before have left."""
    ratios = [fraction / (k * fraction + rounds * (1 - fraction)) for k in range(1, rounds + 1)]
    expected = list(accumulate(ratios, lambda left, ratio: left * (1 - ratio), initial=1e9))[1:]
    kept = GradientFlow(rounds).kept(goal(10**9, fraction))
    assert kept == pytest.approx(expected, abs=1)
    steps = [1 / b - 1 / a for a, b in pairwise((10**9, *kept))]
    assert steps == pytest.approx([steps[0]] * rounds, rel=1e-6)


def test_gradient_flow_published() -> None:
    """To 75 % in 25 rounds: 10.7 % goes in the first round, 3 % of what is left in the last."""
    kept = GradientFlow(25).kept(goal(10**6, 0.75))
    assert 1 - kept[0] / 10**6 == pytest.approx(0.107, abs=5e-4)
    assert 1 - kept[-1] / kept[-2] == pytest.approx(0.03, abs=5e-4)


@pytest.mark.parametrize(
    ("convention", "fractions", "left"),
    [
        ("remaining", (0.5, 0.75), (250, 125)),
        ("all", (0.5, 0.75), (500, 250)),
        ("kept", (0.5, 0.25), (500, 250)),
    ],
)
def test_explicit(convention: str, fractions: tuple[float, ...], left: tuple[int, ...]) -> None:
    """The list is cumulative, of what its convention says: here, 500 of 1000 are left."""
    hparams = PruningHparams(
        schedule="explicit", prune_fractions=fractions, prune_fraction_of=convention
    )
    asked = goal_of(hparams, 500, 1000)
    assert Explicit(fractions, convention).kept(asked) == left
    assert asked.after == left[-1]


def test_explicit_of_what_is_gone() -> None:
    """A first round that asks for more than is left is refused."""
    with pytest.raises(UserError, match="only 300 are left"):
        Explicit((0.5, 0.9), "all").kept(goal_at(100, 300, 1000))


def test_no_rounds() -> None:
    """There is at least one round."""
    with pytest.raises(UserError, match="at least 1"):
        PruningHparams(prune_iterations=0)
