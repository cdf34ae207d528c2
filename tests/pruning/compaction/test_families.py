"""Networks of every family compute the same when they are compacted, and come back from files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from models import families, find
from models.build import architecture
from models.hparams import ModelHparams
from models.portable.saved import load_compacted, save_compacted
from pruning.compaction.compact import parameters
from pruning.mask import Mask
from tests.pruning.compaction.cases import (
    assert_same,
    channel_mask,
    images,
    lively,
    nothing,
    random_mask,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pruning.compaction.cases import Shape

SMALL: dict[str, tuple[str, Shape]] = {
    "digits_lenet": ("digits_lenet_8_6", (1, 8, 8)),
    "mnist_lenet": ("mnist_lenet_8_6", (1, 28, 28)),
    "mnist_dbsn": ("mnist_dbsn_8_6", (1, 28, 28)),
    "cifar_resnet": ("cifar_resnet_8_4", (3, 16, 16)),
    "cifar_resnet_a": ("cifar_resnet_8_4_a", (3, 16, 16)),
    "cifar_resnet_a_detached": ("cifar_resnet_8_4_a_detached", (3, 16, 16)),
    "cifar_resnet_bottleneck": ("cifar_resnet_8_4_bottleneck", (3, 16, 16)),
    "cifar_preresnet": ("cifar_preresnet_11_bottleneck", (3, 16, 16)),
    "granularity_resnet": ("granularity_resnet_8", (3, 16, 16)),
    "cifar_wide_resnet": ("cifar_wide_resnet_10_0.5_bottle_0.5", (3, 16, 16)),
    "cifar_wide_resnet_dropout": ("cifar_wide_resnet_10_0.25_dropout", (3, 16, 16)),
    "cifar_densenet": ("cifar_densenet_10_4", (3, 16, 16)),
    "cifar_densenet_bc": ("cifar_densenet_bc_10_4", (3, 16, 16)),
    "cifar_vgg": ("cifar_vgg_11", (3, 32, 32)),
    "cifar_vgg_hidden": ("cifar_vgg_11_hidden", (3, 32, 32)),
    "cifar_vgg_relu_bn": ("cifar_vgg_11_8_relu_bn", (3, 32, 32)),
    "cifar_mobilenet": ("cifar_mobilenet_8", (3, 32, 32)),
    "gradient_flow_resnet": ("gradient_flow_resnet_8", (3, 16, 16)),
    "cifar_imagenet_resnet": ("cifar_imagenet_resnet_18_4", (3, 16, 16)),
    "imagenet_resnet": ("imagenet_resnet_18_4", (3, 32, 32)),
    "tinyimagenet_resnet": ("tinyimagenet_resnet_18_4", (3, 32, 32)),
    "tinyimagenet_modifiedresnet": ("tinyimagenet_modifiedresnet_18_4", (3, 16, 16)),
    "torchvision": ("torchvision_squeezenet1_1", (3, 32, 32)),
}
"""By family: a small network, and the images that it is made for here."""

OTHERS = [
    ("cifar_preresnet_8", (3, 16, 16)),
    ("torchvision_mobilenet_v3_small", (3, 32, 32)),
    ("torchvision_shufflenet_v2_x0_5", (3, 32, 32)),
]
"""More, of other ways that channels go."""


def _structured(network: torch.nn.Module, shape: Shape) -> Mask:
    """Channels cut in every coupling."""
    masks = [
        channel_mask(network, shape, coupling, density)
        for coupling, density in (("inner", 0.7), ("grouped", 0.7), ("independent", 0.8))
    ]
    names = {name for mask in masks for name in mask}
    found = {}
    for name in names:
        found[name] = torch.stack([mask[name] for mask in masks if name in mask]).all(0)
    return Mask(found)


def test_there_is_one_of_every_family() -> None:
    """Whoever adds a family adds a small network of it here."""
    assert [find(name).family.name for name, _ in SMALL.values()] == list(SMALL)
    assert SMALL.keys() == {family.name for family in families()}


@pytest.mark.parametrize(("name", "shape"), [*SMALL.values(), *OTHERS])
def test_outputs_are_the_same(name: str, shape: Shape, tmp_path: Path) -> None:
    """Under random, structured and extreme masks; each leaves fewer parameters, kept in files."""
    hparams = ModelHparams(model_name=name, model_init="kaiming_normal", batchnorm_init="uniform")
    network = lively(architecture(hparams, shape=shape, classes=5, seed=1))
    masks = [random_mask(network, 0.02), _structured(network, shape), nothing(network)]
    found = [assert_same(network, shape, mask) for mask in masks]
    counts = [parameters(small) for small in found]
    assert max(counts[:2]) < parameters(network)
    assert counts[2] == 0
    save_compacted(tmp_path, found[1], {"shape": list(shape), "classes": 5})
    x = images(shape)
    with torch.no_grad():
        assert torch.equal(load_compacted(tmp_path)(x), found[1](x))
