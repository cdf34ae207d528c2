"""The MLP of the granularity paper, "DBSN": fully connected layers with a scaled tanh between them.

Deep, big and simple (Ciresan et al. 2010): 784-2500-2000-1500-1000-500-10 on distorted MNIST.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from models.lenet import LeNet

if TYPE_CHECKING:
    from torch import Tensor

    from models.family import Arguments

DEFAULT_WIDTHS = "2500_2000_1500_1000_500"
_HEIGHT, _SLOPE = 1.7159, 2 / 3
"""LeCun et al. 1998, "Efficient BackProp": so the function of 1 is 1. The published code of the
granularity paper rounds 2/3 to 0.6666, which changes outputs in the fourth digit at most."""


def scaled_tanh(x: Tensor) -> Tensor:
    """1.7159 tanh(2x/3)."""
    return _HEIGHT * torch.tanh(_SLOPE * x)


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> LeNet:
    """The MLP of a name, for images of any shape."""
    widths = arguments.get("widths", DEFAULT_WIDTHS).split("_")
    return LeNet(math.prod(shape), [int(width) for width in widths], classes, scaled_tanh)
