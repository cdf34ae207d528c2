"""Folded batch norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from models.evaluation import folding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.models.conftest import Make


def _folded(
    network: nn.Module, weights: Mapping[str, Tensor]
) -> tuple[nn.Module, dict[str, Tensor]]:
    plan = folding(network)
    return plan.network, plan.weights(weights)


def _lived_in(network: nn.Module) -> nn.Module:
    """The network in float64 with statistics and shifts of no special value."""
    network.double()
    drawn = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2, generator=drawn)
        elif value.is_floating_point() and value.ndim == 1:
            value.normal_(generator=drawn)
    return network


def _outputs(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, nn.Module]:
    """What the network gives in evaluation, what the folded one gives, and the folded one."""
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    fast, fast_weights = _folded(network, weights)
    given = functional_call(fast, fast_weights, (images,))
    network.eval()
    return network(images), given, fast


@pytest.mark.parametrize(
    "name", ["cifar_resnet_14_4", "cifar_resnet_8_4_a", "cifar_vgg_11", "imagenet_resnet_18_4"]
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_folding_changes_no_output(make: Make, name: str, layout: torch.memory_format) -> None:
    """Logits are equal to rounding, and no batch norm is left."""
    network = _lived_in(make(name)).to(memory_format=layout)
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64).contiguous(memory_format=layout)
    expected, given, fast = _outputs(network, images)
    torch.testing.assert_close(given, expected, atol=1e-10, rtol=1e-10)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())


@pytest.mark.parametrize(("name", "kept"), [("cifar_preresnet_8", 4), ("cifar_vgg_11_hidden", 1)])
def test_what_no_convolution_precedes_is_kept(make: Make, name: str, kept: int) -> None:
    """Batch norms of a sum, and of a linear layer, stay; the others are folded."""
    network = _lived_in(make(name))
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    expected, given, fast = _outputs(network, images)
    torch.testing.assert_close(given, expected, atol=1e-10, rtol=1e-10)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert sum(isinstance(module, norms) for module in fast.modules()) == kept


def test_folding_leaves_the_network_and_its_weights(make: Make) -> None:
    """Neither the mode nor a weight nor an image is changed."""
    network = _lived_in(make("cifar_resnet_8_4"))
    weights = network.state_dict()
    before = {name: value.clone() for name, value in weights.items()}
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    kept = images.clone()
    fast, fast_weights = _folded(network, weights)
    functional_call(fast, fast_weights, (images,))
    assert network.training
    assert not fast.training
    assert torch.equal(images, kept)
    assert all(torch.equal(weights[name], before[name]) for name in before)


def test_pruned_weights_stay_zero(make: Make) -> None:
    """Folding scales weights: what is zero remains zero."""
    network = _lived_in(make("cifar_resnet_8_4"))
    weights = network.state_dict()
    weights["conv.weight"][1] = 0
    _, fast_weights = _folded(network, weights)
    assert fast_weights["conv.weight"][1].eq(0).all()


def test_one_folding_serves_many_weights(make: Make) -> None:
    """The folded network depends on the architecture alone."""
    plan = folding(make("cifar_resnet_8_4"))
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for seed in (5, 6):
        network = _lived_in(make("cifar_resnet_8_4", seed=seed)).eval()
        given = functional_call(plan.network, plan.weights(network.state_dict()), (images,))
        torch.testing.assert_close(given, network(images), atol=1e-10, rtol=1e-10)


def test_a_folded_network_is_one_graph(make: Make) -> None:
    """Compilation finds no break in the folded network."""
    network = _lived_in(make("cifar_resnet_8_2")).eval()
    fast, weights = _folded(network, network.state_dict())
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)

    def forward(weights: dict[str, Tensor], images: Tensor) -> Tensor:
        return cast("Tensor", functional_call(fast, weights, (images,)))

    compiled = torch.compile(forward, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(weights, images), network(images))


def test_a_network_without_batch_norms(make: Make) -> None:
    """There is nothing to fold, and the weights are what they were."""
    network = make("digits_lenet")
    fast, weights = _folded(network, network.state_dict())
    assert weights.keys() == network.state_dict().keys()
    assert not fast.training


class _Branching(nn.Module):
    """Goes by its data: it cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.bn(self.conv(x)) if x.sum() > 0 else self.conv(x))


class _Awkward(nn.Module):
    """Has batch norms that must not be folded, and one that may, of every option."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Conv2d(3, 4, 3, padding=1)
        self.bn_a, self.bn_b = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.seen_twice = nn.Conv2d(4, 4, 1)
        self.bn_c = nn.BatchNorm2d(4)
        self.fresh = nn.BatchNorm2d(4, track_running_stats=False)
        self.conv_d = nn.Conv2d(4, 4, 3, 2, padding=2, dilation=2, groups=2, padding_mode="reflect")
        self.bn_d = nn.BatchNorm2d(4, affine=False, eps=0.1)
        self.conv_e = nn.Conv2d(4, 4, 1)
        self.bn_e = nn.BatchNorm2d(4)
        self.read, self.bn_f = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.unused = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn_a(self.shared(x)) + self.bn_b(self.shared(x))
        y = self.seen_twice(x)
        x = functional.relu(self.bn_c(y)) + y
        x = functional.relu(x) + functional.relu(x * 2)
        x = self.bn_d(self.conv_d(self.fresh(x)))
        y = x.mean((2, 3), keepdim=True)
        x = self.bn_e(self.conv_e(y)) + x
        x = self.bn_f(self.read(x)) + functional.conv2d(x, self.read.weight)
        return functional.relu(x) - x


@pytest.mark.parametrize("kind", [_Branching, _Awkward])
def test_networks_that_resist(kind: type[nn.Module]) -> None:
    """Whatever a network is, its outputs stay what they were."""
    torch.manual_seed(0)
    network = _lived_in(kind())
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    expected, given, _ = _outputs(network, images)
    torch.testing.assert_close(given, expected, atol=1e-10, rtol=1e-10)


def test_only_what_can_be_folded_is() -> None:
    """A batch norm is kept where its convolution is used elsewhere, or it has no statistics."""
    network = _Awkward()
    plan = folding(network)
    assert [pair[:2] for pair in plan.pairs] == [("conv_d", "bn_d"), ("conv_e", "bn_e")]
    assert folding(_Branching()).pairs == ()
