"""Networks of every family compute the same when they are compacted, whatever the mask."""

from __future__ import annotations

import pytest
import torch

from models import families, find
from models.build import build
from models.hparams import ModelHparams
from pruning.compaction.compact import parameters
from pruning.mask import Mask
from tests.models.conftest import SHAPES
from tests.pruning.compaction.cases import (
    assert_same,
    channel_mask,
    lively,
    nothing,
    random_mask,
)

SMALL = {
    "mnist_lenet": "mnist_lenet_100",
    "mnist_dbsn": "mnist_dbsn_500",
    "cifar_resnet": "cifar_resnet_8",
    "cifar_resnet_a": "cifar_resnet_8_a",
    "cifar_resnet_a_detached": "cifar_resnet_8_a_detached",
    "cifar_resnet_bottleneck": "cifar_resnet_8_bottleneck",
    "cifar_preresnet": "cifar_preresnet_8",
    "granularity_resnet": "granularity_resnet_8",
    "cifar_wide_resnet": "cifar_wide_resnet_10_1",
    "cifar_wide_resnet_dropout": "cifar_wide_resnet_10_1_dropout",
    "cifar_densenet": "cifar_densenet_7_12",
    "cifar_densenet_bc": "cifar_densenet_bc_10_12",
    "cifar_vgg": "cifar_vgg_11",
    "cifar_vgg_hidden": "cifar_vgg_11_hidden",
    "cifar_vgg_relu_bn": "cifar_vgg_11_relu_bn",
    "cifar_mobilenet": "cifar_mobilenet_16",
    "gradient_flow_resnet": "gradient_flow_resnet_8",
    "imagenet_resnet": "imagenet_resnet_18_8",
    "tinyimagenet_resnet": "tinyimagenet_resnet_18_8",
    "tinyimagenet_modifiedresnet": "tinyimagenet_modifiedresnet_18_8",
    "torchvision": "torchvision_squeezenet1_1",
}
"""By family: a small network, where the first of its examples is none."""

OTHERS = ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5"]
"""More of torchvision's, of other ways that channels go."""

NAMES = [SMALL.get(family.name, family.examples[0]) for family in families()]
NAMES += [f"torchvision_{name}" for name in OTHERS]


def _structured(network: torch.nn.Module, shape: tuple[int, int, int]) -> Mask:
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


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_the_same(name: str) -> None:
    """Under random, structured and extreme masks; and each leaves fewer parameters."""
    shape = SHAPES.get(find(name).family.name.partition("_")[0], (3, 32, 32))
    shape = (shape[0], min(shape[1], 32), min(shape[2], 32))
    hparams = ModelHparams(model_name=name, model_init="kaiming_normal", batchnorm_init="uniform")
    network = lively(build(hparams, shape=shape, classes=5, seed=1))
    masks = [random_mask(network, 0.02), _structured(network, shape), nothing(network)]
    counts = [parameters(assert_same(network, shape, mask)) for mask in masks]
    assert max(counts[:2]) < parameters(network)
    assert counts[2] == 0
