"""What is particular to one architecture, computed otherwise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from models.build import prunable
from models.cifar_preresnet import Block
from models.cifar_resnet_a import PaddedShortcut
from models.presets import preset
from tests.models.conftest import on_meta

if TYPE_CHECKING:
    from tests.models.conftest import Make

INITIALIZATION = ("model_init", "init_width", "bias_init", "batchnorm_init")


def _images(count: int, side: int, channels: int = 3) -> Tensor:
    drawn = torch.Generator().manual_seed(0)
    return torch.randn(count, channels, side, side, generator=drawn, dtype=torch.float64)


def _recipe(make: Make, name: str) -> nn.Module:
    """The network, initialized as its preset says."""
    flags: dict[str, Any] = dict(preset(name))
    return make(name, **{flag: flags[flag] for flag in INITIALIZATION if flag in flags})


def test_dbsn(make: Make) -> None:
    """Layers of 1.7159 tanh(2x/3), the last one linear."""
    network = make("mnist_dbsn_9_7").double()
    images = _images(4, 28, 1)
    weights = [value.detach().numpy() for value in network.parameters()]
    x = images.flatten(1).numpy()
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        z = x @ weight.T + bias
        x = 1.7159 * (1 - 2 / (torch.from_numpy(4 / 3 * z).exp().numpy() + 1))
    expected = torch.from_numpy(x @ weights[-2].T + weights[-1])
    torch.testing.assert_close(network(images), expected)


def test_dbsn_begins_as_published(make: Make) -> None:
    """Weights fill [-.05, .05], also of the output layer; biases are 0."""
    for name, value in _recipe(make, "mnist_dbsn_300_100").named_parameters():
        largest = 0.05 if "weight" in name else 0.0
        assert 0.99 * largest <= value.abs().max() <= largest


def test_vgg_with_a_hidden_layer_begins_as_published(make: Make) -> None:
    """Batch norms begin at a scale of .5, linear layers with a deviation of .01 and no bias."""
    network = _recipe(make, "cifar_vgg_11_hidden")
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 9
    assert all(norm.weight.eq(0.5).all() and norm.bias.eq(0).all() for norm in norms)
    assert network.get_parameter("hidden.weight").std().item() == pytest.approx(0.01, rel=0.02)
    assert network.get_parameter("hidden.bias").eq(0).all()
    assert network.get_parameter("fc.bias").eq(0).all()
    assert not [name for name, _ in network.named_parameters() if name.endswith("conv.bias")]


def test_granularity_begins_as_published(make: Make) -> None:
    """All weights, also those of projections, have variance 2 / (fan-in + fan-out)."""
    network = _recipe(make, "granularity_resnet_20")
    for name, fans in (
        ("blocks.8.conv2.weight", 2 * 64 * 9),
        ("blocks.6.shortcut.0.weight", 32 + 64),
        ("fc.weight", 64 + 10),
    ):
        weight = network.get_parameter(name)
        error = 5 / weight.numel() ** 0.5
        assert weight.std().item() == pytest.approx((2 / fans) ** 0.5, rel=error)
    assert network.get_parameter("fc.bias").ne(0).all()


def test_granularity_has_the_network_of_cifar() -> None:
    """The same parameters under the same names."""
    one, other = on_meta("granularity_resnet_20"), on_meta("cifar_resnet_20")
    assert [(n, p.shape) for n, p in one.named_parameters()] == [
        (n, p.shape) for n, p in other.named_parameters()
    ]


@pytest.mark.parametrize("side", [8, 7])
def test_a_shortcut_without_parameters(side: int) -> None:
    """Averages of the pixels that there are, then channels of zeros."""
    images = _images(2, side)
    found = PaddedShortcut(3, 6, 2, carries_gradient=True)(images)
    expected = torch.zeros(2, 6, (side + 1) // 2, (side + 1) // 2, dtype=torch.float64)
    for row in range(expected.shape[2]):
        for column in range(expected.shape[3]):
            square = images[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, :3, row, column] = square.mean((2, 3))
    torch.testing.assert_close(found, expected)


def _stem_gradient(network: nn.Module, images: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(
        network(images).square().sum(), network.get_parameter("conv.weight")
    )
    return gradient[0, 0, 1, 1]


def test_shortcuts_carry_gradients_unless_the_name_says_otherwise(make: Make) -> None:
    """The derivative of the correct network is that of its outputs; the faithful one's is not."""
    right, faulty = (make(f"cifar_resnet_8_2_a{s}").double().eval() for s in ("", "_detached"))
    images = _images(2, 8)
    assert torch.equal(right(images), faulty(images))
    weight, step = right.get_parameter("conv.weight"), 1e-6
    losses = []
    with torch.no_grad():
        for sign in (1, -2):
            weight[0, 0, 1, 1] += sign * step
            losses.append(right(images).square().sum())
        weight[0, 0, 1, 1] += step
    slope = (losses[0] - losses[1]) / (2 * step)
    torch.testing.assert_close(_stem_gradient(right, images), slope, rtol=1e-6, atol=1e-6)
    assert abs(_stem_gradient(faulty, images) - slope) > 0.01 * abs(slope)


def test_only_the_first_shortcuts_of_stages_are_detached(make: Make) -> None:
    """With all convolutions of the last two stages at zero, no gradient reaches the first."""
    for name, reached in (("cifar_resnet_14_2_a", True), ("cifar_resnet_14_2_a_detached", False)):
        network = make(name)
        for key in prunable(network):
            if key.startswith(("blocks.2", "blocks.3", "blocks.4", "blocks.5")):
                network.get_parameter(key).data.zero_()
        network(_images(2, 8).float()).square().sum().backward()
        gradients = network.get_parameter("conv.weight").grad, network.get_parameter("bn.bias").grad
        assert [bool(g is not None and g.abs().max() > 0) for g in gradients] == [reached] * 2


def _by_hand(block: Block, x: Tensor, strides: list[int], sizes: list[int]) -> Tensor:
    """Fresh statistics of a mean of 0 and a variance of 1; scales and shifts as they are."""
    y = x
    for norm, conv, stride, size in zip(block.bns, block.convs, strides, sizes, strict=True):
        scale, shift = (part.detach().reshape(-1, 1, 1) for part in norm.parameters())
        y = (y / (1 + 1e-5) ** 0.5 * scale + shift).clamp(min=0)
        (weight,) = conv.parameters()
        y = functional.conv2d(y, weight, stride=stride, padding=size // 2)
    (weight,) = block.shortcut.parameters()
    return y + functional.conv2d(x, weight, stride=max(strides))


@pytest.mark.parametrize(
    ("widths", "sizes", "strides"),
    [((3, 4, 4), [3, 3], [2, 1]), ((3, 2, 2, 8), [1, 3, 1], [1, 2, 1])],
)
def test_a_block_with_activations_before(
    widths: tuple[int, ...], sizes: list[int], strides: list[int]
) -> None:
    """Batch norm and ReLU before each convolution; the shortcut takes the input as it is."""
    block = Block(widths, sizes, 2).double().eval()
    for norm in block.bns:
        nn.init.normal_(norm.get_parameter("weight"))
        nn.init.normal_(norm.get_parameter("bias"))
    images = _images(2, 8)
    found = block(images)
    torch.testing.assert_close(found, _by_hand(block, images, strides, sizes))
    assert found.min() < 0


def test_which_preactivation_resnets_have_bottlenecks() -> None:
    """110 layers have basic blocks unless the name says otherwise, 164 layers bottlenecks."""
    last = {
        name: on_meta(name).get_parameter("fc.weight").shape[1]
        for name in (
            "cifar_preresnet_110",
            "cifar_preresnet_110_bottleneck",
            "cifar_preresnet_164",
            "cifar_preresnet_8",
        )
    }
    assert list(last.values()) == [64, 256, 256, 64]


def _torchvision(depth: int, classes: int = 1000) -> nn.Module:
    if depth == 200:
        bottleneck = torchvision.models.resnet.Bottleneck
        made = partial(torchvision.models.ResNet, bottleneck, [3, 24, 36, 3])
    else:
        made = getattr(torchvision.models, f"resnet{depth}")
    network: nn.Module = made(num_classes=classes)
    return network


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152, 200])
def test_imagenet_resnets_have_the_parameters_of_torchvision(depth: int) -> None:
    """Names, shapes and order of everything in the state are the same."""
    with torch.device("meta"):
        expected = _torchvision(depth).state_dict()
    found = on_meta(f"imagenet_resnet_{depth}", classes=1000).state_dict()
    assert [(n, v.shape) for n, v in found.items()] == [(n, v.shape) for n, v in expected.items()]


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("imagenet_resnet_18", 18),
        ("imagenet_resnet_50", 50),
        ("tinyimagenet_modifiedresnet_18", 18),
    ],
)
def test_imagenet_resnets_compute_what_torchvisions_do(make: Make, name: str, depth: int) -> None:
    """With the same weights the logits are equal, in training mode too."""
    network, other = make(name, shape=(3, 64, 64), classes=5), _torchvision(depth, 5)
    if "modified" in name:
        other.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        other.maxpool = nn.Identity()
    other.load_state_dict(network.state_dict())
    images = _images(2, 64)
    for training in (True, False):
        one, two = (each.double().train(training)(images) for each in (network, other))
        torch.testing.assert_close(one, two)


def test_the_width_of_an_imagenet_resnet() -> None:
    """It is that of the stem, and the stages follow."""
    network = on_meta("imagenet_resnet_50_6")
    shapes = [network.get_parameter(f"layer{i}.0.conv3.weight").shape[:2] for i in range(1, 5)]
    assert network.get_parameter("conv1.weight").shape == (6, 3, 7, 7)
    assert shapes == [(24, 6), (48, 12), (96, 24), (192, 48)]
