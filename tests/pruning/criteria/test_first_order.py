"""w g, its variants and distances, against differences of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from pruning.criteria import Examples as Asked
from pruning.criteria.first_order import FirstOrder, WeightedFirstOrder
from pruning.mask import Mask
from tests.pruning.criteria.reference import Slow
from tests.pruning.networks import (
    CONV_NAMES,
    CONV_SHAPE,
    Examples,
    Weights,
    batches,
    conv_net,
    partly,
)

if TYPE_CHECKING:
    from pruning.criteria.loss import LossCriterion

ASKED = Asked(examples=9)


def scored(criterion: LossCriterion, sizes: list[int]) -> tuple[Weights, Weights, Weights]:
    """The scores of masked weights; those weights; and their gradient, slowly."""
    network, weights = conv_net(torch.float64)
    mask = partly(weights, CONV_NAMES)
    masked = mask.apply(weights)
    data = Examples(batches(sizes, CONV_SHAPE, torch.float64), CONV_SHAPE)
    slow = Slow(network, masked, CONV_NAMES, criterion.training, criterion.temperature)
    scores = criterion(network, masked, mask, data, (0, 0))
    return scores, masked, slow.slope(data.loaded)


def close(found: Weights, expected: Weights) -> None:
    """Equal to what differences can tell, and not all zero."""
    assert set(found) == set(expected)
    for name, values in expected.items():
        scale = values.abs().max().item()
        assert scale > 0
        torch.testing.assert_close(found[name], values, rtol=1e-6, atol=1e-8 * scale)


@pytest.mark.parametrize("sizes", [[9], [2, 2, 5]])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_weight_times_gradient(sizes: list[int], training: bool, temperature: float) -> None:  # noqa: FBT001 - pytest passes it
    """|w g| of the gradient of all examples together; signed, w g."""
    for signed in (False, True):
        criterion = FirstOrder(ASKED, training, temperature, signed=signed)
        scores, weights, slopes = scored(criterion, sizes)
        expected = {name: weights[name] * slopes[name] for name in slopes}
        close(scores, expected if signed else {n: v.abs() for n, v in expected.items()})


@pytest.mark.parametrize("training", [False, True])
def test_weight_squared(training: bool) -> None:  # noqa: FBT001 - pytest passes it
    """|w^2 g|, whose sign is the gradient's."""
    scores, weights, slopes = scored(WeightedFirstOrder(ASKED, training, 2.0), [6, 3])
    close(scores, {n: (weights[n] ** 2 * slopes[n]).abs() for n in slopes})


@pytest.mark.parametrize("signed", [False, True])
def test_distance_from_initialization(signed: bool) -> None:  # noqa: FBT001 - pytest passes it
    """|w - w0| times the score, for w0 of another precision too."""
    start = {name: torch.full_like(w, 0.25).float() for name, w in conv_net()[1].items()}
    criterion = FirstOrder(ASKED, signed=signed, initial=start)
    scores, weights, slopes = scored(criterion, [6, 3])
    scored_alone = {n: weights[n] * slopes[n] for n in slopes}
    expected = {n: (weights[n] - 0.25).abs() * v for n, v in scored_alone.items()}
    close(scores, expected if signed else {n: v.abs() for n, v in expected.items()})


def test_evaluation_mode() -> None:
    """As in the original, the running statistics are batch norm's, unless it is told otherwise."""
    assert not FirstOrder(ASKED).training
    assert not WeightedFirstOrder(ASKED).training


def test_batches_have_no_say() -> None:
    """In evaluation mode, examples score the same however they are put into batches."""
    network, weights = conv_net(torch.float64)
    mask = Mask.dense(weights, CONV_NAMES)
    ((x, y),) = whole = batches([9], CONV_SHAPE, torch.float64)
    parts = [(x[:4], y[:4]), (x[4:], y[4:])]
    one, two = (
        FirstOrder(ASKED)(network, weights, mask, Examples(data, CONV_SHAPE), (0, 0))
        for data in (whole, parts)
    )
    for name in mask:
        torch.testing.assert_close(one[name], two[name], rtol=1e-10, atol=1e-14)
