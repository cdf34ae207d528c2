"""Squared gradients, of batches and of examples, against differences of the loss."""

from __future__ import annotations

import pytest
import torch

from pruning.criteria import Examples as Asked
from pruning.criteria.fisher import Fisher
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


def both(sizes: list[int], *, training: bool, per_example: bool) -> tuple[Weights, Weights]:
    """The scores of masked weights, and w^2 G slowly."""
    network, weights = conv_net(torch.float64)
    mask = partly(weights, CONV_NAMES)
    masked = mask.apply(weights)
    data = Examples(batches(sizes, CONV_SHAPE, torch.float64), CONV_SHAPE)
    slow = Slow(network, masked, CONV_NAMES, training, 5.0)
    expected = {name: torch.zeros_like(masked[name]) for name in mask}
    for x, y in data.loaded:
        for name, slopes in slow.slopes(x, y).items():
            squared = slopes.square().mean(0) if per_example else slopes.mean(0).square()
            expected[name] += masked[name] ** 2 * squared * len(y) / sum(sizes)
    criterion = Fisher(Asked(examples=1), training, 5.0, per_example=per_example)
    return criterion(network, masked, mask, data, (0, 0)), expected


@pytest.mark.parametrize("per_example", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("sizes", [[9], [6, 3]])
def test_squared_gradients(sizes: list[int], training: bool, per_example: bool) -> None:  # noqa: FBT001 - pytest passes it
    """w^2 G, with batches weighed by their sizes; in training mode, examples share statistics."""
    scores, expected = both(sizes, training=training, per_example=per_example)
    for name, values in expected.items():
        scale = values.max().item()
        assert scale > 0
        torch.testing.assert_close(scores[name], values, rtol=1e-6, atol=1e-8 * scale)


def test_of_examples_is_more() -> None:
    """The mean of squares is not the square of the mean: gradients of examples differ."""
    batch, _ = both([9], training=False, per_example=False)
    example, _ = both([9], training=False, per_example=True)
    assert all((example[name] >= batch[name] - 1e-15).all() for name in batch)
    assert any((example[name] > 2 * batch[name]).any() for name in batch)
