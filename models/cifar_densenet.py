"""DenseNets for small images ("Densely Connected Convolutional Networks", Huang et al. 2017).

A layer reads what all those before it in its block have made, and adds K channels. Between the
three blocks, transitions halve the resolution and, in DenseNet-BC, the number of channels. There,
a 1x1 convolution to 4K channels comes before the 3x3 convolution of each layer.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from foundations.errors import UserError
from models.cifar_resnet import convolution
from models.declarations.widths import Dense, dense

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.family import Arguments

_SMALLEST_SIDE = 8
"""Of a smaller image, two halvings leave a single pixel, whose batch statistics may not exist."""


class Layer(nn.Module):
    """Convolutions, each after batch norm and ReLU, whose channels are put after the input's.

    Args:
        widths: Channels before the first convolution and after each.
        sizes: The side of each convolution's kernels.
    """

    def __init__(self, widths: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[:-1])
        self.convs = nn.ModuleList(
            convolution(*pair, size, 1) for pair, size in zip(pairwise(widths), sizes, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, inputs + growth, height, width)."""
        y = x
        for bn, conv in zip(self.bns, self.convs, strict=True):
            y = conv(functional.relu(bn(y)))
        return torch.cat((x, y), 1)


class Transition(nn.Module):
    """A 1x1 convolution after batch norm and ReLU, and averages of 2x2 pixels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(inputs)
        self.conv = convolution(inputs, outputs, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height/2, width/2)."""
        return functional.avg_pool2d(self.conv(functional.relu(self.bn(x))), 2)


class DenseNet(nn.Module):
    """A network of three blocks.

    Args:
        channels: Of the images.
        size: How many layers there are, and how wide.
        classes: Units of the output layer.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(self, channels: int, size: Dense, classes: int) -> None:
        super().__init__()
        inputs = 2 * size.growth
        self.conv = convolution(channels, inputs, 3, 1)
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        for compressed in (*size.compressed, None):
            self.blocks.append(_block(inputs, size))
            inputs += size.layers * size.growth
            if compressed is not None:
                self.transitions.append(Transition(inputs, compressed))
                inputs = compressed
        self.bn = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        x = self.blocks[0](self.conv(x))
        for block, transition in zip(self.blocks[1:], self.transitions, strict=True):
            x = block(transition(x))
        x = functional.relu(self.bn(x))
        return cast("Tensor", self.fc(x.mean((2, 3))))


def _block(inputs: int, size: Dense) -> nn.Sequential:
    """Layers, each of which reads what those before it have added."""
    inner, sizes = ((), (3,)) if size.inner is None else ((size.inner,), (1, 3))
    read = (inputs + layer * size.growth for layer in range(size.layers))
    return nn.Sequential(*(Layer((width, *inner, size.growth), sizes) for width in read))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> DenseNet:
    """The DenseNet of a name.

    Raises:
        UserError: The images are too small.
    """
    _, height, width = shape
    if min(height, width) < _SMALLEST_SIDE:
        raise UserError(
            f"A DenseNet for CIFAR needs images of at least {_SMALLEST_SIDE} x {_SMALLEST_SIDE} "
            f"pixels: it halves them twice. These have {height} x {width}. Choose another network, "
            "or enlarge the images."
        )
    return DenseNet(shape[0], dense(arguments), classes)
