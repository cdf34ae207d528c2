"""What a mask leaves dead is gone: parameters are as many as counted by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from models.build import build, prunable
from models.hparams import ModelHparams
from models.wiring import silenced, wiring
from pruning.compaction.compact import compacted, parameters
from pruning.mask import Mask
from tests.models.graphs import NETWORKS, SHAPE
from tests.pruning.compaction.cases import MASKS, assert_same, lively, without

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = (3, 32, 32)


def _network(name: str) -> nn.Module:
    return lively(
        build(
            ModelHparams(model_name=name, model_init="kaiming_normal", batchnorm_init="uniform"),
            shape=IMAGE,
            classes=10,
            seed=1,
        )
    )


def _mask(network: nn.Module, kept: Mapping[str, int], shape: tuple[int, int, int]) -> Mask:
    """The last so many channels of these layers, norms and biases too."""
    wires = wiring(network, shape)
    cut = {name: np.zeros(len(made), dtype=bool) for name, made in wires.producers.items()}
    for name, count in kept.items():
        cut[name][: len(cut[name]) - count] = True
    return without(network, cut | silenced(wires, cut))


def _block(inputs: int, inner: int, outputs: int, *, shortcut: bool) -> int:
    """Of a block of a WideResNet; nothing is left of a branch without inner channels."""
    branch = inputs * inner * 9 + inner * outputs * 9 + 2 * inputs + 2 * inner
    return branch + inputs * outputs * shortcut


def test_inner_channels_of_a_wide_resnet() -> None:
    """As the published count has them."""
    network = _network("cifar_wide_resnet_10_1")
    mask = _mask(network, {f"blocks.{n}.conv1": k for n, k in enumerate((5, 1, 30))}, IMAGE)
    small = assert_same(network, IMAGE, mask)
    blocks = _block(16, 5, 16, shortcut=False) + _block(16, 1, 32, shortcut=True)
    blocks += _block(32, 30, 64, shortcut=True)
    assert parameters(small) == 3 * 16 * 9 + blocks + 2 * 64 + 64 * 10 + 10
    assert not [name for name, _ in small.named_buffers() if name.startswith("held")]


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_a_block_without_channels_vanishes(layer: str) -> None:
    """Neither its convolutions nor its norms nor the sum are left."""
    network = _network("cifar_wide_resnet_10_1")
    sums = _sums(compacted(network, IMAGE, network.state_dict(), None))
    cut = {f"blocks.0.{layer}.weight": torch.zeros(16, 16, 3, 3) > 0}
    vectors = {f"blocks.0.bn2.{part}": torch.zeros(16) > 0 for part in ("weight", "bias")}
    small = assert_same(network, IMAGE, Mask(cut | vectors))
    assert parameters(network) - parameters(small) == _block(16, 16, 16, shortcut=False)
    assert _sums(small) == sums - 1


def test_a_block_that_is_its_shortcut() -> None:
    """Where the branch is cut, the projection is left, with the norm that it reads."""
    network = _network("cifar_wide_resnet_10_1")
    mask = Mask({"blocks.1.conv2.weight": torch.zeros(32, 32, 3, 3) > 0})
    small = assert_same(network, IMAGE, mask)
    assert parameters(network) - parameters(small) == 16 * 32 * 9 + 32 * 32 * 9 + 2 * 32


def _sums(network: nn.Module) -> int:
    graph = network.graph
    assert isinstance(graph, torch.fx.Graph)
    return sum("add" in node.name for node in graph.nodes)


def test_widths_of_a_vgg() -> None:
    """Convolutions with biases and norms, and the layer that reads the last."""
    network = _network("cifar_vgg_11")
    layers = list(wiring(network, IMAGE).producers)[:-1]
    widths = (10, 20, 1, 40, 50, 7, 70, 3)
    small = assert_same(
        network, IMAGE, _mask(network, dict(zip(layers, widths, strict=True)), IMAGE)
    )
    convolutions = sum(9 * a * b + 3 * b for a, b in pairwise((3, *widths)))
    assert parameters(small) == convolutions + 3 * 10 + 10


def test_the_residual_stream_of_a_resnet() -> None:
    """A channel of a stage goes from all of its layers."""
    network = _network("cifar_resnet_8_4")
    stage = dict.fromkeys(("conv", "blocks.0.conv2"), 3)
    small = assert_same(network, IMAGE, _mask(network, stage, IMAGE))
    per_channel = 27 + 2 + (36 + 36 + 2) + (72 + 8)
    assert parameters(network) - parameters(small) == per_channel


def test_a_factor_that_is_multiplied_by_nothing() -> None:
    """Squeeze-and-excitation loses the rows and columns of a channel that is cut elsewhere."""
    network = lively(NETWORKS["depthwise"]())
    small = assert_same(network, SHAPE, _mask(network, {"wide": 5}, SHAPE))
    of_wide, of_deep, of_narrow = 4 + 2, 9 + 2, 4
    of_squeeze, of_excite = 3, 3 + 1
    gone = of_wide + of_deep + of_narrow + of_squeeze + of_excite
    assert parameters(network) - parameters(small) == gone


def test_groups_of_a_grouped_convolution() -> None:
    """A group whose outputs are cut goes, with the inputs that only it reads."""
    network = lively(NETWORKS["grouped"]())
    small = assert_same(network, SHAPE, _mask(network, {"grouped": 3}, SHAPE))
    assert small.get_parameter("grouped.weight").shape == (3, 2, 3, 3)
    assert small.get_parameter("stem.weight").shape == (2, 3, 3, 3)
    assert small.get_parameter("last.weight").shape == (3, 3, 3, 3)


@pytest.mark.parametrize("kind", ["random_0.3", "inner", "grouped", "independent", "gates"])
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_dead_is_left(name: str, kind: str) -> None:
    """Compacted again, by the weights that are not zero, a network stays as it is."""
    network = lively(NETWORKS[name]())
    small = compacted(network, SHAPE, network.state_dict(), MASKS[kind](network, SHAPE))
    kept = {key: small.get_parameter(key) != 0 for key in prunable(small)}
    again = assert_same(small, SHAPE, Mask(kept))
    assert parameters(again) == parameters(small)
