"""Numbers of whole curves: which fraction an accuracy allows."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from papers.rates import Allowed, BestAtRateOf, RateOf, crossing, height

KEPT = (0.5, 0.25, 0.125)


def runs(*accuracies: float | None) -> Any:
    """Runs that have these accuracies."""
    return [SimpleNamespace(accuracy=accuracy) for accuracy in accuracies]


def test_the_smallest_fraction_with_nearly_the_same_accuracy_is_allowed() -> None:
    """Half a point less is near where a point may be lost, one and a half are not."""
    assert Allowed(KEPT, 0.01)(*runs(0.9, 0.91, 0.895, 0.885)) == 0.25
    assert Allowed(KEPT, 0.02)(*runs(0.9, 0.91, 0.895, 0.885)) == 0.125


def test_where_nothing_may_go_everything_is_kept() -> None:
    """The unpruned network is as accurate as itself."""
    assert Allowed(KEPT, 0.0)(*runs(0.9, 0.8, 0.8, 0.8)) == 1


def test_a_run_without_accuracy_gives_no_number() -> None:
    """None of the three guesses."""
    some = runs(0.9, 0.8, None, 0.7)
    assert Allowed(KEPT, 0.01)(*some) is None
    assert RateOf(KEPT, 0.75)(*some) is None
    assert BestAtRateOf(KEPT, 0.75)(*some, *runs(0.9, 0.9, 0.9)) is None


def test_a_curve_is_crossed_in_the_middle_of_the_logarithm() -> None:
    """Half of the way from 0.5 to 0.25 is 0.5 over the root of 2."""
    found = RateOf(KEPT, 0.85)(*runs(0.92, 0.9, 0.8, 0.7))
    assert found == pytest.approx(0.5 / math.sqrt(2))


@pytest.mark.parametrize("accuracies", [(0.9, 0.9, 0.88, 0.86), (0.8, 0.7, 0.6, 0.5)])
def test_a_curve_that_stays_above_or_begins_below_has_no_rate(
    accuracies: tuple[float, ...],
) -> None:
    """Nothing is said outside of what was measured."""
    assert RateOf(KEPT, 0.85)(*runs(*accuracies)) is None


def test_a_level_curve_is_crossed_where_it_begins() -> None:
    """Where two accuracies are the one that is asked for."""
    assert crossing((1.0, 0.5), (0.8, 0.8), 0.8) == 1


def test_the_best_of_several_is_looked_at_where_the_first_crosses() -> None:
    """The first falls to 0.85 between 0.5 and 0.25; the third is the better of the others there."""
    first, second, third = (0.9, 0.8, 0.7), (0.88, 0.86, 0.5), (0.92, 0.90, 0.6)
    found = BestAtRateOf(KEPT, 0.85)(*runs(0.92, *first, *second, *third))
    assert found == pytest.approx(0.91)


def test_heights_are_within_the_curve() -> None:
    """At its ends the accuracies there, outside an error."""
    assert height((1.0, *KEPT), (0.9, 0.8, 0.7, 0.6), 1.0) == pytest.approx(0.9)
    assert height((1.0, *KEPT), (0.9, 0.8, 0.7, 0.6), 0.125) == pytest.approx(0.6)
    with pytest.raises(ValueError, match="lies outside"):
        height((1.0, *KEPT), (0.9, 0.8, 0.7, 0.6), 0.1)
