"""Operations are counted as published, and as other libraries and slow counts have them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from foundations.draws import generator
from foundations.errors import UserError
from models.build import architecture, prunable
from models.hparams import ModelHparams
from pruning.accounting import account
from pruning.conventions import CONVENTIONS, Convention, Operation
from pruning.counting import operations
from pruning.mask import Mask
from tests.models.graphs import NETWORKS, SHAPE

CIFAR = (3, 32, 32)


def _network(name: str, classes: int = 10) -> nn.Module:
    hparams = ModelHparams(model_name=name, model_init="kaiming_normal", batchnorm_init="fixed")
    return architecture(hparams, shape=CIFAR, classes=classes, seed=0)


def _count(convention: str, name: str, classes: int = 10) -> int:
    return CONVENTIONS[convention].count(operations(_network(name, classes), CIFAR), name)


@pytest.mark.parametrize(
    ("convention", "network", "classes", "published"),
    [
        ("ptflops", "cifar_vgg_13_relu_bn", 100, "229.19"),
        ("ptflops", "cifar_mobilenet", 100, "47.27"),
        ("ptflops", "gradient_flow_resnet_56", 10, "126.84"),
        ("ptflops", "cifar_resnet_56", 100, "126.84"),
        ("ptflops", "cifar_imagenet_resnet_18", 100, "556.7"),
        ("ptflops", "cifar_imagenet_resnet_34", 100, "1161.5"),
        ("ptflops", "tinyimagenet_modifiedresnet_34", 100, "1161.5"),
        ("rethinking", "cifar_vgg_19", 10, "797.6"),
        ("rethinking", "cifar_vgg_16", 10, "627.6"),
        ("rethinking", "cifar_preresnet_110_bottleneck", 10, "341.2"),
        ("rethinking", "cifar_densenet_40_12", 10, "573.1"),
        ("rethinking", "cifar_densenet_100_12_transition_0.5", 10, "2684.2"),
        ("measure_model", "cifar_wide_resnet_40_2", 10, "328.30"),
        ("measure_model", "cifar_densenet_bc_100_12", 10, "289.10"),
    ],
)
def test_published_numbers(convention: str, network: str, classes: int, published: str) -> None:
    """In millions for one image, to the last digit that was published."""
    digits = len(published.partition(".")[2])
    assert f"{_count(convention, network, classes) / 1e6:.{digits}f}" == published


@pytest.mark.parametrize("name", NETWORKS)
def test_multiply_accumulates_are_those_of_the_account(name: str) -> None:
    """Of a dense network, and of what a mask keeps."""
    network = NETWORKS[name]()
    kept = {n: network.get_parameter(n) for n in prunable(network)}
    drawn = {n: torch.rand(w.shape, generator=generator(1, n)) < 0.5 for n, w in kept.items()}
    mask, macs = Mask(drawn), CONVENTIONS["macs"]
    total = account(network, SHAPE, mask)["total"]
    assert macs.count(operations(network, SHAPE)) == total["macs"]
    assert macs.count(operations(network, SHAPE, mask)) == total["macs_kept"] < total["macs"]


def test_multiply_accumulates_are_half_of_what_torch_counts() -> None:
    """Torch counts two for each, of convolutions and linear layers; groups and strides too."""
    network = torchvision.models.mobilenet_v2(num_classes=7).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 64, 64))
    found = CONVENTIONS["macs"].count(operations(network, (3, 64, 64)))
    assert 2 * found == counter.get_total_flops()


class _Functions(nn.Module):
    """Every kind of operation that counts, called as a function or as a method."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(4, 1, 3, 3))
        self.offset = nn.Parameter(torch.zeros(4))
        self.matrix = nn.Parameter(torch.zeros(5, 4))
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(x, self.kernel, self.offset, padding=1, groups=2)
        x = functional.batch_norm(x, self.get_buffer("mean"), self.get_buffer("mean") + 1)
        x = functional.max_pool2d(functional.relu(x), kernel_size=3, stride=1)
        x = functional.avg_pool2d(x.relu(), (2, 1))
        return functional.linear(x.mean((2, 3)), self.matrix)


class _Modules(nn.Module):
    """The same of modules."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(2, 4, 3, padding=1, groups=2)
        pools = nn.MaxPool2d(3, 1), nn.ReLU(), nn.AvgPool2d((2, 1)), nn.AdaptiveAvgPool2d(1)
        head = nn.Flatten(), nn.Linear(4, 5, bias=False)
        self.every = nn.Sequential(conv, nn.BatchNorm2d(4), nn.ReLU(), *pools, *head)

    def forward(self, x: Tensor) -> Any:
        return self.every(x)


@pytest.mark.parametrize("network", [_Functions, _Modules])
@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        ("macs", 36 * 64 + 20),
        ("ptflops", 40 * 64 + 2 * 256 + 256 + 256 + 144 + 144 + 72 + 20),
        ("measure_model", 36 * 64 + 256 + 144 + 2 * 72 + 72 + 20),
    ],
)
def test_by_hand(network: type[nn.Module], convention: str, expected: int) -> None:
    """A 3x3 convolution of two groups on 8x8, norm, ReLUs, three pools, a linear layer."""
    assert CONVENTIONS[convention].count(operations(network(), (2, 8, 8))) == expected


def test_rethinking_counts_kept_weights_of_convolutions_twice() -> None:
    """And all of a linear layer; biases once, norms twice."""
    network = _Modules()
    kept = {name: network.get_parameter(name) < -1 for name in prunable(network)}
    kept["every.0.weight"][0, 0, 1] = True
    found = operations(network, (2, 8, 8), Mask(kept))
    pools = 9 * 144 + 2 * 72
    expected = (2 * 3 + 4) * 64 + 2 * 256 + 256 + 144 + pools + 2 * 20
    assert CONVENTIONS["rethinking"].count(found) == expected


def test_an_original_has_rules_of_its_own() -> None:
    """By the beginning of the network's name; without a name there are none."""
    rules = {"relu": lambda operation: operation.inputs}
    own = Convention(unit="numbers", rules=rules, originals={"lenet": {"relu": lambda _: 1}})
    found = [Operation(name="relu", inputs=7), Operation(name="add", inputs=9)]
    assert [own.count(found, name) for name in ("", "vgg", "lenet_5")] == [7, 7, 1]


def test_an_image_that_does_not_fit() -> None:
    """It is said where."""
    with pytest.raises(UserError, match=r"cannot be counted at '_1'"):
        operations(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (3, 2, 3))
