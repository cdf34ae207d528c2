"""Scores that need no pass of the network."""

import torch
from torch import nn

from pruning.criteria.magnitude import Magnitude
from pruning.criteria.random import Random
from pruning.mask import Mask

WEIGHTS = {"a": torch.tensor([-2.0, 1.0]), "b": torch.zeros(50, 20), "c": torch.ones(50, 20)}
MASK = Mask.dense(WEIGHTS, ["b", "c"])


def test_magnitude() -> None:
    """The absolute value, of masked layers only."""
    scores = Magnitude()(nn.Identity(), WEIGHTS, Mask.dense(WEIGHTS, ["a"]), None, (0, 0))
    assert {name: values.tolist() for name, values in scores.items()} == {"a": [2.0, 1.0]}


def test_random_is_keyed() -> None:
    """One key, one draw; another round, seed or layer, another draw."""

    def draw(seed: int, position: int) -> dict[str, torch.Tensor]:
        return Random()(nn.Identity(), WEIGHTS, MASK, None, (seed, position))

    first = draw(0, 0)
    assert torch.equal(first["b"], draw(0, 0)["b"])
    assert not torch.equal(first["b"], draw(0, 1)["b"])
    assert not torch.equal(first["b"], draw(1, 0)["b"])
    assert not torch.equal(first["b"], first["c"])


def test_random_is_uniform() -> None:
    """A thousand draws lie in [0, 1) and fill it evenly."""
    values = Random()(nn.Identity(), WEIGHTS, MASK, None, (0, 0))["b"].flatten()
    assert 0 <= values.min() <= values.max() < 1
    assert all(60 < count < 140 for count in torch.histc(values, 10, 0, 1).tolist())
