"""How the count is met: exactly, or as published codes do."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foundations.errors import RunFailedError, UserError
from pruning.hparams import PruningHparams
from pruning.mask import Mask
from pruning.selection import Exact, PublishedThreshold, PublishedThresholdFloor, Selection
from tests.pruning.networks import CONV_NAMES, conv_net, partly, pruned

SELECTIONS: list[Selection] = [Exact(), PublishedThreshold(0.5), PublishedThresholdFloor(0.5)]
SCORES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


def cut(
    selection: Selection, scores: list[float], count: int, *, highest: bool = False
) -> list[float]:
    """The scores that stay, in order, of two layers."""
    middle = len(scores) // 2
    layers = {"a": torch.tensor(scores[:middle]), "b": torch.tensor(scores[middle:])}
    kept = {name: torch.ones(len(values), dtype=torch.bool) for name, values in layers.items()}
    left = selection.cut(layers, kept, count, highest=highest)
    return torch.cat([layers[name][left[name]] for name in layers]).tolist()


@given(SCORES, st.data())
def test_threshold_of_the_lowest(scores: list[float], data: st.DataObject) -> None:
    """What is greater than the sorted scores' n-th, counted from 0, stays: n + 1 and ties go."""
    count = data.draw(st.integers(1, len(scores)))
    ranked = [*sorted(scores), math.inf]  # published codes crash where n is all there are
    expected = [score for score in scores if score > ranked[count]]
    assert cut(PublishedThreshold(0.5), scores, count) == expected


@given(SCORES, st.data())
def test_threshold_of_the_highest(scores: list[float], data: st.DataObject) -> None:
    """What is less than the (length - n)-th stays: n and ties go."""
    count = data.draw(st.integers(1, len(scores)))
    edge = sorted(scores)[len(scores) - count]
    expected = [score for score in scores if score < edge]
    assert cut(PublishedThreshold(0.5), scores, count, highest=True) == expected


def test_published_example() -> None:
    """Of 1000 different scores half: 501 of the lowest go, or 500 of the highest."""
    scores = [float(n) for n in range(1000)]
    assert len(cut(PublishedThreshold(0.5), scores, 500)) == 499
    assert len(cut(PublishedThreshold(0.5), scores, 500, highest=True)) == 500
    assert len(cut(Exact(), scores, 500)) == 500


def test_published_example_of_ties() -> None:
    """Of 60 % zeros, all 600 go when half are asked for."""
    scores = [0.0] * 600 + [float(n) for n in range(1, 401)]
    assert cut(PublishedThreshold(0.5), scores, 500) == scores[600:]
    assert len(cut(Exact(), scores, 500)) == 500


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("highest", [False, True])
def test_none_and_all(selection: Selection, highest: bool) -> None:  # noqa: FBT001 - pytest passes it
    """A count of 0 cuts nothing, one of all everything; published codes crash there."""
    scores = [1.0, 2.0, 2.0]
    assert cut(selection, scores, 0, highest=highest) == scores
    assert cut(selection, scores, 3, highest=highest) == []


@pytest.mark.parametrize("selection", SELECTIONS)
def test_nan(selection: Selection) -> None:
    """A score that is not a number is refused."""
    with pytest.raises(RunFailedError, match="'b'"):
        cut(selection, [1.0, 2.0, 3.0, math.nan], 2)


@pytest.mark.parametrize(("fraction", "count"), [(0.35, 22), (0.5, 31), (0.8, 50), (0.001, 0)])
def test_floor(fraction: float, count: int) -> None:
    """Weight-level pruning cuts int(N p) and one more; but nothing where that is 0."""
    network, weights = conv_net()
    mask, report = pruned(
        network, weights, selection="published_threshold_floor", prune_fraction=fraction
    )
    assert 63 - mask.kept == report["reached"] == (count + 1 if count else 0)
    assert report["asked"] == int(63 * fraction + 0.5)


def test_floor_of_all() -> None:
    """Of all there are: what was cut before counts."""
    network, weights = conv_net()
    start = partly(weights, CONV_NAMES)
    mask = pruned(
        network,
        weights,
        selection="published_threshold_floor",
        prune_fraction=0.7,
        prune_fraction_of="all",
        mask=start,
    ).mask
    ranked = torch.cat([start.apply(weights)[name].abs().flatten() for name in CONV_NAMES]).sort()
    edge = ranked.values[int(63 * 0.7)]
    assert all(torch.equal(mask[n], (weights[n].abs() > edge) & start[n]) for n in CONV_NAMES)


@pytest.mark.parametrize(("fraction", "iterations"), [(0.5, 1), (0.8, 3), (0.8, 7), (1.0, 1)])
def test_openlth_rounds(fraction: float, iterations: int) -> None:
    """Each round cuts the fraction of a round of what is left, rounded up, and one more."""
    network, weights = conv_net()
    report = pruned(
        network,
        weights,
        selection="published_threshold",
        prune_fraction=fraction,
        prune_iterations=iterations,
    ).report
    left, expected = 63, []
    for _ in range(iterations):
        left -= min(left, math.ceil(left * (1 - (1 - fraction) ** (1 / iterations))) + 1)
        expected.append(left)
    assert report["kept"] == expected
    assert report["reached"] == 63 - left


def test_published_threshold_of_nothing() -> None:
    """A fraction of 0 cuts nothing, as published."""
    network, weights = conv_net()
    mask = pruned(network, weights, selection="published_threshold", prune_fraction=0.0).mask
    assert mask.kept == 63


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "linear"},
        {"allocation": "explicit", "layer_fractions": "conv=.5"},
        {"prune_fraction_of": "kept"},
        {"prune_fraction_of": "all"},
        {"selection": "published_threshold_floor", "prune_iterations": 2},
    ],
)
def test_published_thresholds_are_what_is_published(settings: dict[str, object]) -> None:
    """They do not go with choices that the published codes do not have."""
    with pytest.raises(UserError, match="published_threshold"):
        PruningHparams(**({"selection": "published_threshold"} | settings))  # type: ignore[arg-type]


def test_masks_are_nested() -> None:
    """What was cut before stays cut."""
    network, weights = conv_net()
    start = partly(weights, CONV_NAMES)
    mask = pruned(network, weights, selection="published_threshold", mask=start).mask
    assert not any((mask[name] & ~start[name]).any() for name in mask)
    assert isinstance(mask, Mask)
