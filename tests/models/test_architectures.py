"""The networks: what they are made of, and what may be done with them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import pytest
import torch
from torch.func import functional_call, grad

from foundations.errors import UserError
from models.build import prunable
from tests.models.conftest import SHAPES

if TYPE_CHECKING:
    from torch import Tensor

    from tests.models.conftest import Make

SMALL = ["digits_lenet_9_7", "mnist_lenet_9_7", "cifar_resnet_8_2", "cifar_vgg_11"]


@pytest.mark.parametrize(
    ("name", "parameters", "weights", "layers"),
    [
        ("mnist_lenet_300_100", 266_610, 266_200, 3),
        ("digits_lenet", 64 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10, 50_200, 3),
        ("digits_lenet_5", 64 * 5 + 5 + 5 * 10 + 10, 370, 2),
        ("cifar_resnet_20", 272_474, 270_896, 22),
        ("cifar_resnet_20_16", 272_474, 270_896, 22),
        ("cifar_resnet_56", 855_770, 851_504, 58),
        ("cifar_resnet_110", 1_730_714, 1_722_416, 112),
        ("cifar_vgg_11", 9_231_114, 9_222_848, 9),
        ("cifar_vgg_13", 9_416_010, 9_407_168, 11),
        ("cifar_vgg_16", 14_728_266, 14_715_584, 14),
        ("cifar_vgg_19", 20_040_522, 20_024_000, 17),
    ],
)
def test_counts(make: Make, name: str, parameters: int, weights: int, layers: int) -> None:
    """Networks have the published numbers of parameters, prunable weights and layers."""
    network = make(name)
    names = prunable(network)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert sum(network.get_parameter(name).numel() for name in names) == weights
    assert len(names) == layers
    assert names == sorted(names)


def test_prunable_weights_by_name(make: Make) -> None:
    """First convolution, shortcuts and output layer are prunable, biases and batch norms not."""
    assert prunable(make("cifar_resnet_8")) == [
        "blocks.0.conv1.weight",
        "blocks.0.conv2.weight",
        "blocks.1.conv1.weight",
        "blocks.1.conv2.weight",
        "blocks.1.shortcut.0.weight",
        "blocks.2.conv1.weight",
        "blocks.2.conv2.weight",
        "blocks.2.shortcut.0.weight",
        "conv.weight",
        "fc.weight",
    ]


@pytest.mark.parametrize("name", SMALL)
def test_the_network_follows_the_data(make: Make, name: str) -> None:
    """The head has as many logits as there are classes, the first layer takes the channels."""
    side = 32 if name.startswith("cifar") else 6
    network = make(name, shape=(5, side, side), classes=37).eval()
    assert network(torch.zeros(2, 5, side, side)).shape == (2, 37)
    assert network.get_parameter("fc.weight").shape[0] == 37


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("cifar_vgg_16", (1, 28, 28), r"needs images of 32 x 32 pixels.*These have 28 x 28"),
        ("cifar_vgg_11", (3, 64, 64), r"four max-pools"),
        ("cifar_resnet_20", (1, 4, 8), r"at least 5 x 5 pixels.*These have 4 x 8"),
    ],
)
def test_images_that_do_not_fit(
    make: Make, name: str, shape: tuple[int, int, int], message: str
) -> None:
    """The message says what the network needs and what the images have."""
    with pytest.raises(UserError, match=message):
        make(name, shape=shape)


def test_the_smallest_images_of_a_resnet_can_be_trained_on(make: Make) -> None:
    """Even in a last batch of one, batch norms have something to take statistics of."""
    assert make("cifar_resnet_8", shape=(1, 5, 5))(torch.ones(1, 1, 5, 5)).isfinite().all()


def test_a_resnet_halves_the_resolution_twice(make: Make) -> None:
    """The second and third stages begin with stride 2, in the block and in its shortcut."""
    network = make("cifar_resnet_14_4")
    stage = network.get_submodule("blocks")
    assert stage(torch.zeros(1, 4, 32, 32)).shape == (1, 16, 8, 8)
    shortcuts = [name for name, _ in network.named_parameters() if "shortcut.0" in name]
    assert shortcuts == ["blocks.2.shortcut.0.weight", "blocks.4.shortcut.0.weight"]
    assert network.get_parameter(shortcuts[0]).shape == (8, 4, 1, 1)


@pytest.mark.parametrize("name", SMALL)
def test_functional_gradients_in_float64(make: Make, name: str) -> None:
    """Gradients of a functional call equal those of the module, and buffers are the caller's."""
    network = make(name).double()
    shape = SHAPES[name.partition("_")[0]]
    images = torch.linspace(-1, 1, 3 * math.prod(shape), dtype=torch.float64).reshape(3, *shape)
    parameters = {name: value.detach().clone() for name, value in network.named_parameters()}
    buffers = {name: value.clone() for name, value in network.named_buffers()}

    def loss(weights: dict[str, Tensor]) -> Tensor:
        logits: Tensor = functional_call(network, weights | buffers, (images,))
        return logits.square().sum()

    network.eval()
    gradients = grad(loss)(parameters)
    names, values = zip(*network.named_parameters(), strict=True)
    expected = torch.autograd.grad(network(images).square().sum(), values)
    torch.testing.assert_close(gradients, dict(zip(names, expected, strict=True)))


def test_training_statistics_through_a_functional_call(make: Make) -> None:
    """In training mode a functional call moves the buffers it is given, not the network's."""
    network = make("cifar_resnet_8_2")
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    functional_call(network, weights, (torch.randn(4, 3, 32, 32),))
    assert weights["bn.num_batches_tracked"] == 1
    assert not weights["bn.running_mean"].eq(0).any()
    assert network.get_buffer("bn.running_mean").eq(0).all()


@pytest.mark.parametrize("name", ["cifar_resnet_8_4", "cifar_vgg_11"])
def test_channels_last_changes_nothing(make: Make, name: str) -> None:
    """The memory format of weights and images does not change the logits."""
    network = make(name).double().eval()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    expected = network(images)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(images.to(memory_format=torch.channels_last)), expected)


@pytest.mark.parametrize("name", ["digits_lenet_9_7", "cifar_resnet_8_2"])
def test_a_network_is_one_graph(make: Make, name: str) -> None:
    """Compilation finds no break in the forward pass."""
    network = make(name).eval()
    weights = dict(network.state_dict())
    images = torch.randn(2, 3, 32, 32) if "cifar" in name else torch.randn(2, 1, 8, 8)

    def forward(weights: dict[str, Tensor], images: Tensor) -> Tensor:
        return cast("Tensor", functional_call(network, weights, (images,)))

    compiled = torch.compile(forward, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(weights, images), network(images))
