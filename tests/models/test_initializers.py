"""Initialization: what is drawn, and what decides it."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from models import MODELS
from models.build import build
from models.family import Family
from models.hparams import ModelHparams
from models.initializers import BATCHNORM_INITIALIZERS, BIAS_INITIALIZERS, INITIALIZERS

if TYPE_CHECKING:
    from torch import Tensor

    from tests.models.conftest import Make

CONV = "layers.4.conv.weight"
"""Of cifar_vgg_13: 128 x 128 x 3 x 3, fan-in and fan-out 1152."""
LINEAR = "fc_layers.1.weight"
"""Of mnist_lenet_300_200: 200 x 300."""


def _weights(make: Make, init: str, **flags: Any) -> dict[str, Tensor]:
    vgg = make("cifar_vgg_13", model_init=init, **flags)
    lenet = make("mnist_lenet_300_200", model_init=init, **flags)
    return {CONV: vgg.get_parameter(CONV), LINEAR: lenet.get_parameter(LINEAR)}


def _check_moments(weight: Tensor, deviation: float) -> None:
    """Mean and deviation lie within five standard errors."""
    error = 5 / math.sqrt(weight.numel())
    assert weight.mean().item() == pytest.approx(0, abs=error * deviation)
    assert weight.std().item() == pytest.approx(deviation, rel=error)


@pytest.mark.parametrize(
    ("init", "conv", "linear"),
    [
        ("kaiming_normal", math.sqrt(2 / 1152), math.sqrt(2 / 300)),
        ("kaiming_uniform", math.sqrt(2 / 1152), math.sqrt(2 / 300)),
        ("xavier_normal", math.sqrt(2 / 2304), math.sqrt(2 / 500)),
        ("binary", math.sqrt(2 / 1152), math.sqrt(2 / 300)),
        ("standard_normal", 1.0, 1.0),
        ("scaled_normal", 0.1, 0.1),
        ("pytorch_default", math.sqrt(1 / 3 / 1152), math.sqrt(1 / 3 / 300)),
        ("wide_resnet", math.sqrt(2 / 1152), math.sqrt(1 / 3 / 300)),
        ("kaiming_fan_out", math.sqrt(2 / 1152), math.sqrt(1 / 3 / 300)),
        ("vgg", math.sqrt(2 / 1152), 0.01),
    ],
)
def test_moments(make: Make, init: str, conv: float, linear: float) -> None:
    """Weights have mean 0 and the deviation of their rule."""
    weights = _weights(make, init)
    _check_moments(weights[CONV], conv)
    _check_moments(weights[LINEAR], linear)


@pytest.mark.parametrize(
    ("init", "normal"),
    [
        ("kaiming_normal", True),
        ("standard_normal", True),
        ("kaiming_uniform", False),
        ("pytorch_default", False),
    ],
)
def test_shape_of_the_distribution(make: Make, init: str, normal: bool) -> None:  # noqa: FBT001 - a column of the table
    """A normal distribution has kurtosis 3, a uniform one 1.8."""
    weight = _weights(make, init)[CONV].double()
    kurtosis = (weight / weight.std()).pow(4).mean().item()
    assert kurtosis == pytest.approx(3 if normal else 1.8, rel=0.05)


def test_uniform_of_a_width(make: Make) -> None:
    """Weights fill [-w, w] and nothing else."""
    for weight in _weights(make, "uniform", init_width=0.25).values():
        assert 0.249 < weight.abs().max() <= 0.25
        _check_moments(weight, 0.25 / math.sqrt(3))


def test_orthogonal(make: Make) -> None:
    """Rows of a layer with more inputs than outputs are orthonormal."""
    for weight in _weights(make, "orthogonal").values():
        rows = weight.detach().flatten(1).double()
        torch.testing.assert_close(
            rows @ rows.T, torch.eye(len(rows), dtype=torch.float64), atol=1e-5, rtol=0
        )


def test_binary_is_the_signs_of_a_kaiming_normal_draw(make: Make) -> None:
    """One magnitude in each layer, its own deviation; the signs are the draw's."""
    binary, drawn = _weights(make, "binary"), _weights(make, "kaiming_normal")
    for name, weight in binary.items():
        expected = drawn[name].sign() * drawn[name].std()
        torch.testing.assert_close(weight, expected, rtol=0, atol=0)


def test_binary_of_a_single_weight(make: Make) -> None:
    """A layer of one weight, which has no deviation, keeps it."""
    one = make("digits_lenet_1_1", model_init="binary").get_parameter("fc_layers.1.weight")
    drawn = make("digits_lenet_1_1").get_parameter("fc_layers.1.weight")
    assert one.item() == drawn.item()


@pytest.mark.parametrize("init", ["wide_resnet", "kaiming_fan_out", "vgg"])
def test_some_go_by_outputs(make: Make, init: str) -> None:
    """The deviation of the first convolution is that of its fan-out."""
    network = make("cifar_resnet_8_64", model_init=init)
    _check_moments(network.get_parameter("conv.weight"), math.sqrt(2 / (9 * 64)))


def test_wide_resnet_sets_linear_biases_to_zero(make: Make) -> None:
    """It alone does; the weights are those of kaiming_fan_out, to the bit."""
    one, other = (
        make("cifar_resnet_8_4", model_init=init).state_dict()
        for init in ("wide_resnet", "kaiming_fan_out")
    )
    assert [name for name in one if not torch.equal(one[name], other[name])] == ["fc.bias"]
    assert one["fc.bias"].eq(0).all()


@pytest.mark.parametrize("name", ["mnist_lenet_5", "cifar_vgg_11"])
def test_biases_of_zero(make: Make, name: str) -> None:
    """All biases of convolutions and linear layers are 0; nothing else is drawn otherwise."""
    one, other = (make(name, bias_init=rule) for rule in ("zeros", "pytorch_default"))
    for key, value in one.state_dict().items():
        layer = one.get_submodule(key.rpartition(".")[0])
        if key.endswith("bias") and isinstance(layer, nn.Conv2d | nn.Linear):
            assert value.eq(0).all()
            assert other.get_parameter(key).ne(0).all()
        else:
            assert torch.equal(value, other.state_dict()[key])


@pytest.mark.parametrize(
    ("rule", "low", "high", "shift"),
    [
        ("uniform", 0, 1, 0),
        ("fixed", 1, 1, 0),
        ("oneone", 1, 1, 1),
        ("positivenegative", -1, 1, 0),
        ("half", 0.5, 0.5, 0),
    ],
)
def test_batchnorms(make: Make, rule: str, low: float, high: float, shift: float) -> None:
    """Scales fill their interval, shifts are constant, statistics untouched."""
    network = make("cifar_vgg_13", batchnorm_init=rule)
    scale = network.get_parameter("layers.12.bn.weight")
    assert low <= scale.min() <= low + 0.03
    assert high - 0.03 <= scale.max() <= high
    assert network.get_parameter("layers.12.bn.bias").eq(shift).all()
    assert network.get_buffer("layers.12.bn.running_var").eq(1).all()


def test_every_rule_is_in_these_tests() -> None:
    """A rule that is added is also tested here."""
    assert set(INITIALIZERS) == {
        "kaiming_normal",
        "kaiming_uniform",
        "xavier_normal",
        "orthogonal",
        "binary",
        "standard_normal",
        "scaled_normal",
        "uniform",
        "pytorch_default",
        "wide_resnet",
        "kaiming_fan_out",
        "vgg",
    }
    assert set(BATCHNORM_INITIALIZERS) == {
        "uniform",
        "fixed",
        "oneone",
        "positivenegative",
        "half",
    }
    assert set(BIAS_INITIALIZERS) == {"pytorch_default", "zeros"}


@pytest.mark.parametrize("init", sorted(INITIALIZERS))
def test_a_network_is_a_function_of_its_seed(make: Make, init: str) -> None:
    """The same seed gives the same bits, another seed other weights and biases."""
    width: dict[str, Any] = {"init_width": 0.1} if init == "uniform" else {}
    one, same, other = (
        make("cifar_resnet_8_4", model_init=init, seed=seed, **width).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    for name in ("conv.weight", "blocks.1.shortcut.0.weight", "fc.weight", "bn.weight"):
        assert not torch.equal(one[name], other[name])
    assert torch.equal(one["fc.bias"], other["fc.bias"]) == (init == "wide_resnet")


def test_the_default_generator_is_left_alone(make: Make) -> None:
    """Building draws nothing from torch's generator, and takes nothing from its state."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one = make("digits_lenet").state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert all(torch.equal(one[name], w) for name, w in make("digits_lenet").state_dict().items())


def test_layers_are_drawn_independently(make: Make) -> None:
    """A layer's draw depends on its name and shape, not on the layers around it."""
    shallow = make("cifar_resnet_8_4", classes=10).state_dict()
    deep = make("cifar_resnet_14_4", classes=7).state_dict()
    for name in ("conv.weight", "blocks.0.conv1.weight", "blocks.0.bn1.weight"):
        assert torch.equal(shallow[name], deep[name])


def test_layers_of_one_shape_differ(make: Make) -> None:
    """Two layers alike in all but their names get different weights."""
    weights = make("cifar_resnet_14_4").state_dict()
    assert not torch.equal(weights["blocks.0.conv1.weight"], weights["blocks.0.conv2.weight"])
    assert not torch.equal(weights["blocks.0.bn1.weight"], weights["blocks.0.bn2.weight"])


def test_biases_have_the_default_rule(make: Make) -> None:
    """Biases fill the interval that PyTorch draws them from, whatever draws the weights."""
    bias = make("mnist_lenet_1000", model_init="standard_normal").get_parameter("fc_layers.0.bias")
    bound = 1 / math.sqrt(784)
    assert 0.99 * bound < bias.abs().max() <= bound


def test_the_seed_given_decides() -> None:
    """The seed that building gets overrides the one in the hyperparameters: to reinitialize."""
    plain = {"model_name": "digits_lenet_5", "model_init": "binary", "batchnorm_init": "fixed"}
    seeded = ModelHparams.from_dict(plain | {"model_seed": 8})
    one, other = (
        build(hparams, shape=(1, 8, 8), classes=10, seed=2).state_dict()
        for hparams in (seeded, ModelHparams.from_dict(plain))
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


class _Own(nn.Module):
    """A network with a parameter that no rule knows."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(4))


def _build_own(_arguments: object, **_: object) -> nn.Module:
    return _Own()


def test_other_parameters_are_keyed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a network of one's own draws when it is made is also a function of the seed."""
    family = Family(
        name="own",
        form="own",
        rule="no numbers",
        examples=("own",),
        pattern="own",
        builder="own_networks:build",
    )
    monkeypatch.setattr(MODELS, "_entries", MODELS._entries | {"own": family})
    monkeypatch.setitem(sys.modules, "own_networks", SimpleNamespace(build=_build_own))
    hparams = ModelHparams(model_name="own", model_init="binary", batchnorm_init="fixed")
    one, same, other = (
        build(hparams, shape=(1, 1, 1), classes=2, seed=seed).get_parameter("token")
        for seed in (5, 5, 6)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
