"""Channels of WideResNets and DenseNets: cut, they are zero for all that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from foundations.errors import UserError
from models.build import build
from models.hparams import ModelHparams
from models.wiring import groups, wiring
from pruning.hparams import PruningHparams
from pruning.prune import prune
from pruning.subject import Subject
from tests.models.graphs import drawn, images
from tests.pruning.granularities.examples import examples

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.mask import Mask

SHAPE = (3, 8, 8)
NETWORKS = [
    "cifar_wide_resnet_10_0.25",
    "cifar_wide_resnet_10_1_bottle_0.25",
    "cifar_wide_resnet_16_0.5_dropout",
    "cifar_densenet_10_4",
    "cifar_densenet_bc_10_3",
    "cifar_densenet_bc_16_4_transition_1_bottle_0.5",
]


def network_of(name: str) -> nn.Module:
    """The network with drawn values, in float64 and evaluation mode."""
    hparams = ModelHparams(model_name=name, model_init="wide_resnet", batchnorm_init="fixed")
    return drawn(build(hparams, shape=SHAPE, classes=4, seed=0), SHAPE)


def cut(network: nn.Module, coupling: str, fraction: float = 0.4) -> Mask:
    """Channels cut at random."""
    hparams = PruningHparams(
        strategy="random", granularity="channels", coupling=coupling, prune_fraction=fraction
    )
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    return prune(Subject(network, hparams, SHAPE), weights, seed=1).mask


def read(network: nn.Module, mask: Mask) -> dict[str, Tensor]:
    """By the name of a layer: whether a channel that it reads is zero for all images."""
    found: dict[str, Tensor] = {}
    masked = mask.apply(dict(network.state_dict()))
    hooks = [
        module.register_forward_pre_hook(
            lambda _, given, name=name: found.update({name: given[0].transpose(0, 1).flatten(1)})
        )
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    functional_call(network, masked, (images(16, SHAPE),))
    for hook in hooks:
        hook.remove()
    return {name: given.eq(0).all(1) for name, given in found.items()}


@pytest.mark.parametrize(
    ("name", "coupling"),
    [
        *((name, "grouped") for name in NETWORKS),
        *((name, "inner") for name in NETWORKS if name != "cifar_densenet_10_4"),
    ],
)
def test_all_that_read_a_cut_channel_read_zeros(name: str, coupling: str) -> None:
    """In concatenations too, behind every norm; a layer that reads kept channels reads more."""
    network = network_of(name)
    wires = wiring(network, SHAPE)
    mask = cut(network, coupling)
    kept = {layer: mask[f"{layer}.weight"].flatten(1).any(1).numpy() for layer in wires.producers}
    gone = {
        int(wires.producers[layer][channel])
        for group in groups(wires, coupling)
        for layer, channel in group
        if not kept[layer][channel]
    }
    assert gone
    readers: dict[int, int] = {}
    for layer, silent in read(network, mask).items():
        labels = wires.consumers[layer]
        assert silent.numpy()[np.isin(labels, [*gone])].all(), layer
        for label in set(labels.tolist()) & gone:
            readers[label] = readers.get(label, 0) + 1
    assert readers.keys() == gone
    if coupling == "inner":
        assert set(readers.values()) == {1}
    elif "dense" in name:
        assert max(readers.values()) > 1


def test_channels_of_a_concatenation_by_hand() -> None:
    """The first layer's channel is the stem's width on in all later norms, which are silenced."""
    network = network_of("cifar_densenet_16_3")  # four layers a block, a stem of six
    hparams = PruningHparams(strategy="magnitude", granularity="channels", prune_fraction=0.015)
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    weights["blocks.0.0.convs.0.weight"][1] *= 1e-6
    mask = prune(Subject(network, hparams, SHAPE), weights).mask
    silent = {
        name: (~kept).nonzero().flatten().tolist()
        for name, kept in mask.items()
        if kept.dim() == 1 and not kept.all() and name.endswith("bias")
    }
    assert silent == {
        "blocks.0.1.bns.0.bias": [7],
        "blocks.0.2.bns.0.bias": [7],
        "blocks.0.3.bns.0.bias": [7],
        "transitions.0.bn.bias": [7],
    }
    rows = {
        name: (~kept).flatten(1).all(1).nonzero().flatten().tolist()
        for name, kept in mask.items()
        if kept.dim() == 4 and not kept.all()
    }
    assert rows == {"blocks.0.0.convs.0.weight": [1]}


@pytest.mark.parametrize("name", NETWORKS)
def test_independent_channels_are_zero_where_they_are_made(name: str) -> None:
    """Each layer loses rows by itself; the logits are those of the network with zeroed rows."""
    network = network_of(name)
    mask = cut(network, "independent")
    weights = dict(network.state_dict())
    zeroed = {key: value.clone() for key, value in weights.items()}
    for key, kept in mask.items():
        zeroed[key][~kept] = 0
    run = [functional_call(network, w, (images(4, SHAPE),)) for w in (mask.apply(weights), zeroed)]
    assert torch.equal(*cast("tuple[Tensor, Tensor]", tuple(run)))
    rows = [kept.flatten(1) for kept in mask.values() if kept.dim() == 4]
    assert all(torch.equal(each.any(1), each.all(1)) for each in rows)
    assert sum(int((~each.any(1)).sum()) for each in rows) == round(
        0.4 * len(groups(wiring(network, SHAPE), "independent"))
    )


@pytest.mark.parametrize("strategy", ["synflow", "bn_scale", "filter_l1", "fisher_activations"])
@pytest.mark.parametrize("name", ["cifar_wide_resnet_10_0.25", "cifar_densenet_bc_10_3"])
def test_inner_channels_are_scored(name: str, strategy: str) -> None:
    """By all kinds of criteria, and as many are cut as was asked for."""
    network = network_of(name)
    hparams = PruningHparams(
        strategy=strategy, granularity="channels", coupling="inner", prune_fraction=0.5
    )
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    report = prune(Subject(network, hparams, SHAPE), weights, data=examples(3, 2)).report
    assert report["total"] == len(groups(wiring(network, SHAPE), "inner"))
    assert report["kept"] == [report["total"] - report["asked"]] == [report["total"] // 2]


def test_without_bottlenecks_nothing_is_inner() -> None:
    """All channels of such a DenseNet stand in concatenations, which is refused."""
    with pytest.raises(UserError, match="--coupling=inner finds nothing"):
        cut(network_of("cifar_densenet_10_4"), "inner")
