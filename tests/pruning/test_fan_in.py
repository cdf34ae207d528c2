"""How initial weights are fitted to the inputs that a mask has left."""

import math

import pytest
import torch

from foundations.draws import generator
from pruning.fan_in import scaled_to_survivors
from pruning.mask import Mask

SHAPES = {"fc.weight": (3, 4), "bn.weight": (3,), "fc.bias": (3,), "out.weight": (2, 3)}


def test_each_layer_by_the_root_of_whole_over_left() -> None:
    """By hand: 12 weights of which 3 are left; what is not masked, or no matrix, stays."""
    weights = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    keep = torch.zeros(3, 4, dtype=torch.bool)
    keep[0, 0] = keep[2, 1] = keep[2, 3] = True
    mask = Mask({"fc.weight": keep, "bn.weight": torch.tensor([True, False, False])})
    scaled = scaled_to_survivors(weights, mask)
    assert scaled.keys() == weights.keys()
    assert (scaled["fc.weight"] == 2.0).all()
    for name in weights.keys() - {"fc.weight"}:
        assert torch.equal(scaled[name], weights[name])


def test_a_layer_with_nothing_left_or_nothing_cut_stays() -> None:
    """Nothing is divided by zero, and nothing is scaled that is whole."""
    weights = {"none": torch.randn(4, 5), "all": torch.randn(4, 5)}
    mask = Mask(
        {
            "none": torch.zeros(4, 5, dtype=torch.bool),
            "all": torch.ones(4, 5, dtype=torch.bool),
            "gate:layer": torch.tensor([True, False]),
        }
    )
    scaled = scaled_to_survivors(weights, mask)
    assert all(torch.equal(scaled[name], weights[name]) for name in weights)
    assert scaled.keys() == weights.keys()


@pytest.mark.parametrize("shape", [(64, 32, 3, 3), (200, 100)])
def test_the_variance_of_outputs_stays(shape: tuple[int, ...]) -> None:
    """Of kaiming-normal weights, however many are cut: twice the mean square of the inputs."""
    fan_in = math.prod(shape[1:])
    draws = torch.randn(shape, generator=generator(0, "weights"), dtype=torch.float64)
    weights = {"w": draws * math.sqrt(2 / fan_in)}
    inputs = torch.randn(fan_in, 400, generator=generator(1, "inputs"), dtype=torch.float64)
    for density in (1.0, 0.5, 0.1):
        mask = Mask({"w": torch.rand(shape, generator=generator(2, "mask")) < density})
        outputs = mask.apply(scaled_to_survivors(weights, mask))["w"].flatten(1) @ inputs
        assert outputs.var().item() == pytest.approx(2, rel=0.1)
