"""How each initializer draws the weights of a layer.

Every rule writes into ``layer.weight``, all of whose entries come from ``draw.generator``. Those
of convolutions have shape (out, in, kernel height, kernel width), those of linear layers (out, in);
the fan-in is the number of entries that one output sums over. Biases are drawn before, as PyTorch
does by default, and stay so unless a rule says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from torch.nn import init

if TYPE_CHECKING:
    import torch

    Layer = nn.Conv2d | nn.Linear


@dataclass(frozen=True)
class Draw:
    """What a rule draws with: the generator of one weight, and ``init_width`` where it is given."""

    generator: torch.Generator
    width: float | None = None


def kaiming_normal(layer: Layer, draw: Draw) -> None:
    """Draw from N(0, 2 / fan-in) (He et al. 2015, eq. 10)."""
    init.kaiming_normal_(layer.weight, generator=draw.generator)


def kaiming_uniform(layer: Layer, draw: Draw) -> None:
    """Draw from the uniform distribution around 0 with variance 2 / fan-in."""
    init.kaiming_uniform_(layer.weight, generator=draw.generator)


def xavier_normal(layer: Layer, draw: Draw) -> None:
    """Draw from N(0, 2 / (fan-in + fan-out)) (Glorot and Bengio 2010)."""
    init.xavier_normal_(layer.weight, generator=draw.generator)


def orthogonal(layer: Layer, draw: Draw) -> None:
    """Make the matrix (out, fan-in) a random one with orthonormal rows or columns."""
    init.orthogonal_(layer.weight, generator=draw.generator)


def binary(layer: Layer, draw: Draw) -> None:
    """Keep the signs of a ``kaiming_normal`` draw; its own standard deviation is the magnitude."""
    kaiming_normal(layer, draw)
    weight = layer.weight
    spread = weight.std() if weight.numel() > 1 else weight.abs().squeeze()
    weight.copy_(weight.sign() * spread)


def standard_normal(layer: Layer, draw: Draw) -> None:
    """Draw from N(0, 1), as OpenLTH documents this name; its code draws ``scaled_normal``."""
    init.normal_(layer.weight, generator=draw.generator)


def scaled_normal(layer: Layer, draw: Draw) -> None:
    """Draw with deviation 0.1: what the published code does under ``standard_normal``."""
    init.normal_(layer.weight, std=0.1, generator=draw.generator)


def uniform(layer: Layer, draw: Draw) -> None:
    """Draw from U(-w, w), where w is ``init_width``."""
    if draw.width is None:
        raise ValueError("The initializer 'uniform' needs init_width.")
    init.uniform_(layer.weight, -draw.width, draw.width, generator=draw.generator)


def pytorch_default(layer: Layer, draw: Draw) -> None:
    """Draw from U(-1 / sqrt(fan-in), 1 / sqrt(fan-in)), as PyTorch does unless told otherwise."""
    init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=draw.generator)


def kaiming_fan_out(layer: Layer, draw: Draw) -> None:
    """Draw convolutions from N(0, 2 / (kernel area * out)); linear layers as PyTorch.

    The rule of most codes for ResNets, torchvision's among them. Of a grouped convolution, ``out``
    counts all groups.
    """
    if isinstance(layer, nn.Linear):
        pytorch_default(layer, draw)
        return
    area = math.prod(layer.kernel_size)
    deviation = math.sqrt(2 / (area * layer.out_channels))
    init.normal_(layer.weight, std=deviation, generator=draw.generator)


def wide_resnet(layer: Layer, draw: Draw) -> None:
    """Draw as ``kaiming_fan_out``, and set the biases of linear layers to 0.

    The rule of the published WideResNet codes.
    """
    kaiming_fan_out(layer, draw)
    if isinstance(layer, nn.Linear) and layer.bias is not None:
        init.zeros_(layer.bias)


def vgg(layer: Layer, draw: Draw) -> None:
    """Draw convolutions as ``kaiming_fan_out``, linear layers from N(0, 0.01^2).

    The rule of torchvision's VGG networks and of those made after them, whose biases are 0.
    """
    if isinstance(layer, nn.Linear):
        init.normal_(layer.weight, std=0.01, generator=draw.generator)
    else:
        kaiming_fan_out(layer, draw)
