"""Which parameters are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from torch import nn

from foundations.errors import UserError
from models.build import trainable
from models.hparams import ModelHparams

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.models.conftest import Make


def _is_norm(name: str) -> bool:
    return ".bn" in f".{name}" or "shortcut.1" in name


def _is_output(name: str) -> bool:
    return name in {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        ({}, lambda _: True),
        ({"batchnorm_frozen": True}, lambda name: not _is_norm(name)),
        ({"output_frozen": True}, lambda name: not _is_output(name)),
        ({"others_frozen": True}, lambda name: _is_norm(name) or _is_output(name)),
        (
            {"others_frozen": True, "others_frozen_exceptions": "conv, blocks.2"},
            lambda n: _is_norm(n) or _is_output(n) or n.startswith(("conv", "blocks.2")),
        ),
        (
            {"others_frozen": True, "batchnorm_frozen": True, "output_frozen": True},
            lambda _: False,
        ),
        (
            {
                "others_frozen": True,
                "batchnorm_frozen": True,
                "output_frozen": True,
                "others_frozen_exceptions": "blocks.1.conv",
            },
            lambda name: name.startswith("blocks.1.conv"),
        ),
    ],
)
def test_what_is_frozen(make: Make, flags: dict[str, Any], kept: Callable[[str], bool]) -> None:
    """Batch norms, the output layer and all others are frozen each by its own flag."""
    network = make("cifar_resnet_8")
    hparams = ModelHparams(
        model_name="cifar_resnet_8", model_init="binary", batchnorm_init="fixed", **flags
    )
    names = {name for name, _ in network.named_parameters()}
    assert trainable(network, hparams) == {name for name in names if kept(name)}


@pytest.mark.parametrize(
    "name",
    [
        "digits_lenet",
        "mnist_lenet_5",
        "mnist_dbsn_5",
        "cifar_resnet_8",
        "cifar_resnet_8_a",
        "cifar_preresnet_8",
        "cifar_vgg_11",
        "cifar_vgg_11_hidden",
        "imagenet_resnet_18_2",
    ],
)
def test_the_output_layer_gives_the_logits(make: Make, name: str) -> None:
    """What output_frozen freezes is the layer whose output the network returns."""
    network = make(name, classes=23)
    hparams = ModelHparams(
        model_name=name, model_init="binary", batchnorm_init="fixed", output_frozen=True
    )
    frozen = {name for name, _ in network.named_parameters()} - trainable(network, hparams)
    assert {network.get_parameter(name).shape[0] for name in frozen} == {23}
    assert frozen == {"fc.weight", "fc.bias"}


def test_an_exception_that_is_none(make: Make) -> None:
    """A prefix that no parameter has is a mistake."""
    hparams = ModelHparams(
        model_name="digits_lenet",
        model_init="binary",
        batchnorm_init="fixed",
        others_frozen=True,
        others_frozen_exceptions="fc_layer.0",
    )
    with pytest.raises(UserError, match=r"Did you mean 'fc_layers.0.bias'|'fc_layers.0.weight'"):
        trainable(make("digits_lenet"), hparams)


def test_a_network_without_a_named_output_layer_can_be_trained() -> None:
    """Only freezing needs to know which layer gives the logits."""
    hparams = ModelHparams(model_name="digits_lenet", model_init="binary", batchnorm_init="fixed")
    assert trainable(nn.Linear(2, 2), hparams) == {"weight", "bias"}
