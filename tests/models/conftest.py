"""Networks for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from models.build import build
from models.hparams import ModelHparams

if TYPE_CHECKING:
    from torch import nn

SHAPES = {"cifar": (3, 32, 32), "mnist": (1, 28, 28), "digits": (1, 8, 8)}


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
        usual = SHAPES[name.partition("_")[0]]
        return build(hparams, shape=shape or usual, classes=classes, seed=seed)

    return made
