"""The networks: what they are made of, and what may be done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import torch
from torch.func import functional_call, grad
from torch.fx import symbolic_trace
from torch.nn.functional import relu

from foundations.errors import UserError
from models.build import prunable
from tests.models.conftest import on_meta

if TYPE_CHECKING:
    from torch import Tensor

    from tests.models.conftest import Make

CONVOLUTIONAL = {
    "cifar_resnet_8_2": 1 + 2 * 3,
    "cifar_resnet_8_2_a": 1 + 2 * 3,
    "cifar_resnet_8_2_a_detached": 1 + 2 * 3,
    "granularity_resnet_8": 1 + 2 * 3,
    "gradient_flow_resnet_8": 1 + 2 * 3,
    "cifar_resnet_8_2_bottleneck": 1 + 3 * 3,
    "cifar_preresnet_8": 2 * 3 + 1,
    "cifar_preresnet_11_bottleneck": 3 * 3 + 1,
    "cifar_wide_resnet_10_0.25": 2 * 3 + 1,
    "cifar_wide_resnet_10_0.25_bottle_0.5": 2 * 3 + 1,
    "cifar_wide_resnet_10_0.25_dropout": 2 * 3 + 1,
    "cifar_densenet_10_3": 2 * 3 + 2 + 1,
    "cifar_densenet_bc_10_3": 2 * 3 + 2 + 1,
    "cifar_vgg_11": 8,
    "cifar_vgg_11_hidden": 8 + 1,
    "cifar_vgg_11_2_relu_bn": 8,
    "cifar_mobilenet_2": 1 + 2 * 13,
    "cifar_imagenet_resnet_18_2": 1 + 2 * 8,
    "imagenet_resnet_18_2": 1 + 2 * 8,
    "tinyimagenet_resnet_50_2": 1 + 3 * 16,
    "tinyimagenet_modifiedresnet_18_2": 1 + 2 * 8,
}
"""Networks of each family with convolutions, and how many ReLUs they have."""
SMALL = ["digits_lenet_9_7", "mnist_lenet_9_7", "mnist_dbsn_9_7", *CONVOLUTIONAL]
SIDES = {"cifar": 32, "granularity": 32, "gradient": 32, "imagenet": 64, "tinyimagenet": 64}
"""By the first word of a name: the side of images to try a network with; others take any."""


def _side(name: str) -> int:
    return SIDES.get(name.partition("_")[0], 6)


def _images(name: str, count: int = 2, channels: int = 3) -> Tensor:
    side = _side(name)
    drawn = torch.Generator().manual_seed(0)
    return torch.randn(count, channels, side, side, generator=drawn, dtype=torch.float64)


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
    images = _images(name, channels=5).float()
    network = make(name, shape=(5, _side(name), _side(name)), classes=37).eval()
    assert network(images).shape == (2, 37)
    assert network.get_parameter("fc.weight").shape[0] == 37


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("cifar_vgg_16", (1, 28, 28), r"needs images of 32 x 32 pixels.*These have 28 x 28"),
        ("cifar_vgg_11", (3, 64, 64), r"four max-pools"),
        ("cifar_vgg_16_hidden", (1, 28, 28), r"of 32 x 32 pixels.*These have 28 x 28"),
        ("cifar_vgg_13_relu_bn", (3, 28, 28), r"of 32 x 32 pixels.*These have 28 x 28"),
        ("cifar_mobilenet", (3, 16, 32), r"at least 17 x 17 pixels.*These have 16 x 32"),
        ("cifar_resnet_56_bottleneck", (1, 4, 8), r"at least 5 x 5 pixels.*These have 4 x 8"),
        ("cifar_imagenet_resnet_18", (3, 7, 8), r"8 x 8 pixels.*halves them 3 times"),
        ("cifar_resnet_20", (1, 4, 8), r"at least 5 x 5 pixels.*These have 4 x 8"),
        ("cifar_resnet_20_a", (1, 4, 8), r"at least 5 x 5 pixels.*These have 4 x 8"),
        ("cifar_preresnet_20", (1, 8, 4), r"at least 5 x 5 pixels.*These have 8 x 4"),
        ("cifar_wide_resnet_10_1", (3, 4, 4), r"at least 5 x 5 pixels.*These have 4 x 4"),
        ("cifar_wide_resnet_10_1_dropout", (3, 8, 4), r"at least 5 x 5 pixels.*These have 8 x 4"),
        ("cifar_densenet_bc_10_3", (3, 7, 9), r"at least 8 x 8 pixels.*These have 7 x 9"),
        ("imagenet_resnet_18", (3, 31, 32), r"at least 32 x 32 pixels.*These have 31 x 32"),
        ("tinyimagenet_modifiedresnet_18", (3, 7, 7), r"8 x 8 pixels.*halves them 3 times"),
    ],
)
def test_images_that_do_not_fit(
    make: Make, name: str, shape: tuple[int, int, int], message: str
) -> None:
    """The message says what the network needs and what the images have."""
    with pytest.raises(UserError, match=message):
        make(name, shape=shape)


@pytest.mark.parametrize(
    "name",
    ["cifar_resnet_8", "cifar_resnet_8_a", "cifar_preresnet_8", "cifar_wide_resnet_10_0.25"],
)
def test_the_smallest_images_of_a_resnet_can_be_trained_on(make: Make, name: str) -> None:
    """Even in a last batch of one, batch norms have something to take statistics of."""
    assert make(name, shape=(1, 5, 5))(torch.ones(1, 1, 5, 5)).isfinite().all()


def test_the_smallest_images_of_a_densenet_can_be_trained_on(make: Make) -> None:
    """Four pixels are left, of which batch norms can take statistics."""
    assert make("cifar_densenet_7_2", shape=(1, 8, 8))(torch.rand(1, 1, 8, 8)).isfinite().all()


def test_the_smallest_images_of_an_imagenet_resnet_can_be_trained_on(make: Make) -> None:
    """In a batch of two, one pixel is left."""
    for name, side in (("imagenet_resnet_18_2", 32), ("tinyimagenet_modifiedresnet_18_2", 8)):
        logits = make(name, shape=(1, side, side))(torch.rand(2, 1, side, side))
        assert logits.isfinite().all()


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
    images = _images(name)
    network = make(name, shape=(3, _side(name), _side(name))).double()
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


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_channels_last_changes_nothing(make: Make, name: str) -> None:
    """The memory format of weights and images does not change the logits."""
    network, images = make(name).double().eval(), _images(name)
    expected = network(images)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(images.to(memory_format=torch.channels_last)), expected)


@pytest.mark.parametrize(
    "name",
    [
        "digits_lenet_9_7",
        "mnist_dbsn_9",
        "cifar_resnet_8_2",
        "cifar_resnet_8_2_a_detached",
        "cifar_wide_resnet_10_0.25",
        "cifar_densenet_bc_10_3",
    ],
)
def test_a_network_is_one_graph(make: Make, name: str) -> None:
    """Compilation finds no break in the forward pass."""
    torch.compiler.reset()  # it gives up on a function that it has compiled too often
    network = make(name, shape=(3, _side(name), _side(name))).double().eval()
    weights, images = dict(network.state_dict()), _images(name)

    def forward(weights: dict[str, Tensor], images: Tensor) -> Tensor:
        return cast("Tensor", functional_call(network, weights, (images,)))

    compiled = torch.compile(forward, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(weights, images), network(images))


@pytest.mark.parametrize("name", SMALL)
def test_a_network_can_be_traced(make: Make, name: str) -> None:
    """Its graph, with nothing but calls, gives what the network gives, at any batch size."""
    images = _images(name, 3)
    network = make(name, shape=(3, _side(name), _side(name))).double()
    traced = symbolic_trace(network)
    for training in (False, True):
        with torch.random.fork_rng(devices=[]):  # what dropout draws, for both the same
            torch.manual_seed(0)
            expected = network.train(training)(images)
            torch.manual_seed(0)
            torch.testing.assert_close(traced.train(training)(images), expected)


@pytest.mark.parametrize(("name", "count"), CONVOLUTIONAL.items())
def test_every_relu_is_a_step_of_its_own(name: str, count: int) -> None:
    """A gate can be put after each, so none is hidden in another module or shared."""
    graph = symbolic_trace(on_meta(name)).graph
    assert [node.target for node in graph.nodes if "relu" in node.name] == [relu] * count


@pytest.mark.parametrize("name", SMALL)
def test_the_output_layer_is_the_last_step(name: str) -> None:
    """What the attribute names is called last, and returned."""
    network = on_meta(name)
    *_, last, output = symbolic_trace(network).graph.nodes
    assert (output.op, last.target) == ("output", network.output_layer)
