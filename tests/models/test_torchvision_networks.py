"""Networks of torchvision by name: all of them, with its sizes, and followed or refused."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from torch import nn

from foundations.draws import key
from foundations.errors import UserError
from models.build import architecture, build, output_names
from models.declarations.torchvision_networks import NAMES
from models.gates import gated
from models.hparams import ModelHparams
from models.wiring import groups, wiring
from tests.models.conftest import on_meta

if TYPE_CHECKING:
    from tests.models.conftest import Make

SIZES = {
    "resnet18": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "squeezenet1_1": 32,
    "shufflenet_v2_x0_5": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "regnet_y_400mf": 32,
    "googlenet": 32,
    "inception_v3": 75,
    "mnasnet0_5": 32,
}
"""Networks, and the side of images that each takes."""


def _named(name: str) -> ModelHparams:
    return ModelHparams(
        model_name=f"torchvision_{name}", model_init="kaiming_fan_out", batchnorm_init="fixed"
    )


def _made(name: str, side: int = 32, classes: int = 10) -> nn.Module:
    return architecture(_named(name), shape=(3, side, side), classes=classes, seed=1)


def test_all_networks_of_torchvision_have_names() -> None:
    """The list that is written down is torchvision's own."""
    assert sorted(NAMES) == sorted(torchvision.models.list_models(module=torchvision.models))


@pytest.mark.parametrize(("name", "side"), SIZES.items())
def test_a_network_is_torchvisions(name: str, side: int) -> None:
    """As many parameters as published; logits of a batch; the output layer by its name."""
    network = _made(name, side, classes=1000)
    found = sum(parameter.numel() for parameter in network.parameters())
    with torch.device("meta"):  # the one that is published with its auxiliary classifier
        auxiliary = torchvision.models.inception.InceptionAux(768, 1000)
    beside = sum(p.numel() for p in auxiliary.parameters()) if name == "inception_v3" else 0
    meta = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].meta
    assert found + beside == meta["num_params"]
    assert network(torch.rand(2, 3, side, side)).shape == (2, 1000)
    *_, last = (network.get_parameter(name) for name in sorted(output_names(network)))
    assert last.shape[0] == 1000


@pytest.mark.parametrize("name", ["vit_b_16", "swin_t", "convnext_tiny", "vgg11_bn"])
def test_published_counts_of_large_networks(name: str) -> None:
    """Without memory for their weights."""
    found = sum(p.numel() for p in on_meta(f"torchvision_{name}", classes=1000).parameters())
    meta = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].meta
    assert found == meta["num_params"]


@pytest.mark.parametrize(("name", "side"), SIZES.items())
def test_channels_are_followed(name: str, side: int) -> None:
    """Every convolution and linear layer makes or carries channels, and some can be cut."""
    network = _made(name, side)
    wires = wiring(network, (3, side, side))
    layers = {n for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert layers <= set(wires.producers) | set(wires.carriers)
    assert len(groups(wires, "grouped")) > 100
    assert set(wires.producers[str(network.output_layer)]) == wires.outputs


@pytest.mark.parametrize("name", ["vit_b_32", "swin_v2_t"])
def test_what_attention_reads_is_not_cut(name: str) -> None:
    """Of a transformer, the hidden units of the blocks' own networks can be."""
    network = on_meta(f"torchvision_{name}")
    cut = {
        layer for group in groups(wiring(network, (3, 224, 224)), "grouped") for layer, _ in group
    }
    assert cut
    assert all("mlp" in layer for layer in cut)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "googlenet"])
def test_gates_of_ones_change_nothing(name: str) -> None:
    """Gates find their places, and the network computes the same."""
    network = _made(name).double().eval()
    sites = wiring(network, (3, 32, 32)).sites.values()
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    assert len(sites) > 10
    torch.testing.assert_close(gated(network, sites)(images), network(images))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("resnet18", (1, 28, 28), "need images of 3 channels; these have 1"),
        ("alexnet", (3, 32, 32), "alexnet does not take images of 32 x 32 pixels: .*too small"),
        ("vit_b_32", (3, 40, 40), "vit_b_32 does not take images of 40 x 40 .*patch size"),
        ("vit_b_32", (3, 32, 64), "vit_b_32 does not take images of 32 x 64 pixels: .* width"),
    ],
)
def test_images_that_do_not_fit(
    make: Make, name: str, shape: tuple[int, int, int], message: str
) -> None:
    """The message says what torchvision says of them."""
    with pytest.raises(UserError, match=message):
        make(f"torchvision_{name}", shape=shape)


def test_other_parameters_are_torchvisions() -> None:
    """What no initializer draws has torchvision's own value, drawn by the seed; all are finite."""
    network = build(_named("vit_b_32"), shape=(3, 32, 32), classes=10, seed=5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(5, "init"))
        theirs = torchvision.models.get_model("vit_b_32", num_classes=10, image_size=32)
    drawn = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
        for parameter in module.parameters()
    }
    pairs = zip(network.named_parameters(), theirs.parameters(), strict=True)
    same = {n: torch.equal(own, its) for (n, own), its in pairs if id(own) not in drawn}
    assert len(same) > 20
    assert all(same.values())
    assert all(t.isfinite().all() for t in chain(network.parameters(), network.buffers()))
