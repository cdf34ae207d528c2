"""Schedules that round down in each round, as the original code of gradient flow does."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from foundations.errors import UserError
from pruning.goal import goal_of
from pruning.hparams import PruningHparams
from pruning.truncated import GradientFlowPercents, GradientFlowTruncated
from tests.pruning.networks import Weights, mlp, pruned

RESNET_56, VGG_13 = 2128, 2944
"""Filters of the published networks."""


def _percents(percent: int, rounds: int, base: int = RESNET_56) -> tuple[int, ...]:
    goal = goal_of(PruningHparams(prune_fraction=percent / 100), base, base)
    return GradientFlowPercents(rounds).kept(goal)


@pytest.mark.parametrize(
    ("percent", "rounds", "really"), [(75, 25, 82), (60, 25, 68), (95, 20, 100), (75, 1, 75)]
)
def test_percentages_of_resnets(percent: int, rounds: int, really: int) -> None:
    """What is really cut where so much is asked for, to less than one filter of each round."""
    kept = _percents(percent, rounds)
    assert len(kept) == rounds
    assert 0 <= kept[-1] - RESNET_56 * (100 - really) / 100 < 1.01


def test_percentages_are_whole_after_each_round() -> None:
    """Of five rounds to 75 %, 62, 45, 35, 28 and 23 % of the filters are left, rounded up."""
    assert _percents(75, 5, 10_000) == pytest.approx((6200, 4500, 3500, 2800, 2300), abs=1)
    assert sorted(_percents(95, 20), reverse=True) == list(_percents(95, 20))


@pytest.mark.parametrize(("percent", "rounds"), [(75, 25), (60, 5), (95, 20), (75, 1)])
def test_counts_of_vgg(percent: int, rounds: int) -> None:
    """In each round p / (k p + n (1 - p)) of the filters that are left, rounded down."""
    goal = goal_of(PruningHparams(prune_fraction=percent / 100), VGG_13, VGG_13)
    left, expected, p = VGG_13, [], Fraction(percent, 100)
    for k in range(1, rounds + 1):
        left -= left * p.numerator // (k * p.numerator + rounds * (p.denominator - p.numerator))
        expected.append(left)
    kept = GradientFlowTruncated(rounds).kept(goal)
    assert kept == pytest.approx(expected, abs=1)  # binary fractions may lose one
    assert goal.after <= kept[-1] < goal.after + rounds


def _network() -> tuple[Any, Weights]:
    return mlp(50, 20, 3)


@pytest.mark.parametrize("schedule", ["gradient_flow_truncated", "gradient_flow_percents"])
def test_pruned_so(schedule: str) -> None:
    """What was asked for and what was reached are both reported."""
    network, weights = _network()
    settings: dict[str, Any] = {"prune_fraction": 0.75, "prune_iterations": 25}
    found = pruned(network, weights, schedule=schedule, **settings).report
    assert found["asked"] == 795
    assert found["reached"] != 795
    assert found["total"] - found["reached"] == found["kept"][-1]
    assert pruned(network, weights, schedule="gradient_flow", **settings).report["reached"] == 795


@pytest.mark.parametrize(
    "settings",
    [
        {"prune_fraction_of": "kept"},
        {"granularity": "n_m"},
        {"allocation": "explicit", "layer_fractions": "fc=.5"},
    ],
)
def test_counts_that_are_said_otherwise(settings: dict[str, Any]) -> None:
    """They are refused: the rounding is of the fraction of what is left."""
    with pytest.raises(UserError, match="prune_fraction_of=remaining"):
        PruningHparams(schedule="gradient_flow_percents", **settings)
