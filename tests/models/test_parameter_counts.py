"""How many parameters networks have, to the last one, against published numbers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from torch import nn

from models import families, find
from models.build import prunable
from tests.models.conftest import on_meta

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

with (Path(__file__).parent / "parameter_counts.csv").open() as _file:
    TABLE = list(csv.DictReader(_file))


def _total(tensors: Iterable[Tensor]) -> str:
    return str(sum(tensor.numel() for tensor in tensors))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row['network']}-{row['classes']}")
def test_counts(row: dict[str, str]) -> None:
    """All parameters, the weights that can be pruned, and those of convolutions."""
    network = on_meta(row["network"], classes=int(row["classes"]))
    convolutions = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
    found = {
        "parameters": _total(network.parameters()),
        "prunable": _total(map(network.get_parameter, prunable(network))),
        "convolutional": _total(convolutions),
    }
    published = {what: row[what] for what in found if row[what]}
    assert {what: found[what] for what in published} == published


def test_every_family_is_in_the_table() -> None:
    """A family that is added also gets a row; those of TinyImageNet's large stem are ImageNet's."""
    counted = {find(row["network"]).family.name for row in TABLE} | {"tinyimagenet_resnet"}
    assert counted == {family.name for family in families()}


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152, 200])
def test_tinyimagenet_has_the_networks_of_imagenet(depth: int) -> None:
    """The networks of both families are the same."""
    one, other = (on_meta(f"{stem}_resnet_{depth}") for stem in ("imagenet", "tinyimagenet"))
    assert [(n, p.shape) for n, p in one.named_parameters()] == [
        (n, p.shape) for n, p in other.named_parameters()
    ]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("mnist_lenet_300_100", 3),
        ("mnist_dbsn", 6),
        ("cifar_resnet_20", 20 + 2),
        ("cifar_resnet_110", 110 + 2),
        ("cifar_resnet_110_a", 110),
        ("cifar_preresnet_110", 110 + 2),
        ("cifar_preresnet_110_bottleneck", 110 + 3),
        ("cifar_preresnet_164", 164 + 3),
        ("cifar_resnet_56_bottleneck", 1 + 3 * 27 + 3 + 1),
        ("cifar_wide_resnet_40_2", 40 - 3 + 1 + 3),
        ("cifar_wide_resnet_16_0.5", 16 - 3 + 1 + 3),
        ("cifar_densenet_40_12", 40),
        ("cifar_densenet_bc_100_12", 100),
        ("cifar_vgg_16", 14),
        ("cifar_vgg_13_relu_bn", 10 + 1),
        ("cifar_mobilenet", 27 + 1),
        ("gradient_flow_resnet_56", 57 + 1),
        ("cifar_imagenet_resnet_18", 20 + 1),
        ("cifar_imagenet_resnet_34", 36 + 1),
        ("cifar_vgg_16_hidden", 15),
        ("imagenet_resnet_18", 18 + 3),
        ("imagenet_resnet_50", 50 + 4),
        ("imagenet_resnet_200", 200 + 4),
    ],
)
def test_layers(name: str, layers: int) -> None:
    """A network has as many prunable layers as its depth says, besides projecting shortcuts."""
    names = prunable(on_meta(name))
    assert len(names) == layers
    assert names == sorted(names)
