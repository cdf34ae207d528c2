"""Networks for tests."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import torch

from models import find
from models.build import build
from models.hparams import ModelHparams

if TYPE_CHECKING:
    from torch import nn

SHAPES = {
    "cifar": (3, 32, 32),
    "granularity": (3, 32, 32),
    "gradient": (3, 32, 32),
    "mnist": (1, 28, 28),
    "digits": (1, 8, 8),
    "imagenet": (3, 224, 224),
    "tinyimagenet": (3, 64, 64),
    "torchvision": (3, 224, 224),
}
"""By the first word of a network's name: the images that its family usually gets."""


def usual_shape(name: str) -> tuple[int, int, int]:
    """Channels, height and width of the images that a network usually gets."""
    return SHAPES[name.partition("_")[0]]


def on_meta(name: str, classes: int = 10) -> nn.Module:
    """The network without memory for its weights: shapes and names alone."""
    family, arguments = find(name)
    module, _, attribute = family.builder.partition(":")
    with torch.device("meta"):
        builder = getattr(import_module(module), attribute)
        network: nn.Module = builder(arguments, shape=usual_shape(name), classes=classes)
    return network


class Make(Protocol):
    """Builds a network by its name."""

    def __call__(
        self,
        name: str,
        *,
        shape: tuple[int, int, int] | None = ...,
        classes: int = ...,
        seed: int = ...,
        **flags: Any,
    ) -> nn.Module:
        """The network, for images as its family usually gets, kaiming_normal unless told so."""


@pytest.fixture
def make() -> Make:
    """A function that builds a network."""

    def made(
        name: str,
        *,
        shape: tuple[int, int, int] | None = None,
        classes: int = 10,
        seed: int = 1,
        **flags: Any,
    ) -> nn.Module:
        chosen = {"model_init": "kaiming_normal", "batchnorm_init": "uniform"} | flags
        hparams = ModelHparams(model_name=name, **chosen)
        return build(hparams, shape=shape or usual_shape(name), classes=classes, seed=seed)

    return made
