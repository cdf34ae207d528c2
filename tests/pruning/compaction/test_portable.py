"""Compacted networks of every family are kept in files, loaded and exported as they are."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
import torch

from models.build import architecture
from models.hparams import ModelHparams
from models.portable.export import onnx_runner, to_onnx, to_torch_export
from models.portable.saved import load_compacted, save_compacted
from pruning.compaction.compact import compacted
from tests.models.graphs import NETWORKS, SHAPE
from tests.pruning.compaction.cases import MASKS, images, lively

if TYPE_CHECKING:
    from pathlib import Path

    from torch import fx, nn

    from tests.pruning.compaction.cases import Shape

FAMILIES = {
    "digits_lenet_8_6": (1, 8, 8),
    "mnist_lenet_8_6": (1, 28, 28),
    "mnist_dbsn_8_6": (1, 28, 28),
    "cifar_resnet_8_4": (3, 16, 16),
    "cifar_resnet_8_4_a": (3, 16, 16),
    "cifar_resnet_8_4_a_detached": (3, 16, 16),
    "cifar_resnet_8_4_bottleneck": (3, 16, 16),
    "cifar_preresnet_8": (3, 16, 16),
    "cifar_preresnet_11_bottleneck": (3, 16, 16),
    "granularity_resnet_8": (3, 16, 16),
    "gradient_flow_resnet_8": (3, 16, 16),
    "cifar_wide_resnet_10_0.25": (3, 16, 16),
    "cifar_wide_resnet_10_0.5_bottle_0.5": (3, 16, 16),
    "cifar_wide_resnet_10_0.25_dropout": (3, 16, 16),
    "cifar_densenet_10_4": (3, 16, 16),
    "cifar_densenet_bc_10_4": (3, 16, 16),
    "cifar_vgg_11": (3, 32, 32),
    "cifar_vgg_11_hidden": (3, 32, 32),
    "cifar_vgg_11_4_relu_bn": (3, 32, 32),
    "cifar_mobilenet_4": (3, 32, 32),
    "cifar_imagenet_resnet_18_4": (3, 16, 16),
    "imagenet_resnet_18_4": (3, 32, 32),
    "tinyimagenet_resnet_18_4": (3, 32, 32),
    "tinyimagenet_modifiedresnet_18_4": (3, 32, 32),
    "torchvision_mobilenet_v3_small": (3, 32, 32),
}
"""A small network of each, and the images that it is made for here."""


def _made(name: str) -> nn.Module:
    hparams = ModelHparams(model_name=name, model_init="kaiming_normal", batchnorm_init="uniform")
    return lively(architecture(hparams, shape=FAMILIES[name], classes=4, seed=1))


def _compacted(network: nn.Module, shape: Shape, kind: str) -> fx.GraphModule:
    return compacted(network, shape, network.state_dict(), MASKS[kind](network, shape))


def _check(small: fx.GraphModule, shape: Shape, folder: Path) -> None:
    save_compacted(folder, small, {"shape": list(shape), "classes": 4})
    x = images(shape)
    with torch.no_grad():
        assert torch.equal(load_compacted(folder)(x), small(x))


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_way_that_channels_go_is_kept(name: str, kind: str, tmp_path: Path) -> None:
    """To the last bit, whatever compaction put into the graph."""
    _check(_compacted(lively(NETWORKS[name]()), SHAPE, kind), SHAPE, tmp_path)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_kept(name: str, tmp_path: Path) -> None:
    """Channels cut layer by layer: shortcuts, concatenations and constants are put together."""
    _check(_compacted(_made(name), FAMILIES[name], "independent"), FAMILIES[name], tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"), [("option_a", "independent"), ("depthwise", "gates"), ("dense", "nothing")]
)
def test_what_compaction_adds_is_exported(name: str, kind: str) -> None:
    """Selections, constants and channels between others, for another number of images."""
    pytest.importorskip("onnxruntime")
    small = _compacted(lively(NETWORKS[name]()), SHAPE, kind).float()
    x, others = images(SHAPE, 4).float(), images(SHAPE, 7).float()
    with torch.no_grad():
        expected = small(others)
        program = torch.export.load(io.BytesIO(to_torch_export(small, x).data)).module()
        found = [onnx_runner(to_onnx(small, x).data)(others), program(others)]
    scale = max(1.0, float(expected.abs().max()))
    assert all(float((out - expected).abs().max()) <= 1e-4 * scale for out in found)
