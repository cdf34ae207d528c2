"""Wide ResNets for small images ("Wide Residual Networks", Zagoruyko and Komodakis 2016).

Batch norm and ReLU come before each of the two 3x3 convolutions of a block; the network has 6n+4
layers. Where the number of channels changes, the shortcut is a 1x1 convolution of what the first
convolution reads, behind batch norm and ReLU. The channels between the two convolutions are fewer
in "Pruning neural networks: is it time to nip it in the bud?", whose names say ``bottle``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from models.cifar_resnet import convolution, require_room
from models.declarations.widths import STEM, Wide, wide

if TYPE_CHECKING:
    from models.family import Arguments

_DROPOUT = 0.3
"""Of the networks of names that end in ``dropout``: that of the paper on CIFAR."""


class Block(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, added to a shortcut.

    Args:
        inputs: Channels.
        inner: Channels between the two convolutions.
        outputs: Channels.
        stride: Of the first convolution.
        dropout: The probability that a value before the second convolution is dropped.
    """

    def __init__(
        self, inputs: int, inner: int, outputs: int, stride: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = convolution(inputs, inner, 3, stride)
        self.bn2 = nn.BatchNorm2d(inner)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Sequential()
        self.conv2 = convolution(inner, outputs, 3, 1)
        self.projects = stride > 1 or inputs != outputs
        if self.projects:
            self.shortcut = convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height/stride, width/stride)."""
        active = functional.relu(self.bn1(x))
        y = functional.relu(self.bn2(self.conv1(active)))
        y = self.conv2(self.dropout(y))
        return cast("Tensor", y + (self.shortcut(active) if self.projects else x))


class WideResNet(nn.Module):
    """A residual network of three stages.

    Args:
        channels: Of the images.
        size: How many blocks there are, and how wide.
        classes: Units of the output layer.
        dropout: In each block.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(self, channels: int, size: Wide, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = convolution(channels, STEM, 3, 1)
        self.blocks = nn.Sequential()
        inputs = STEM
        for stage, (inner, outputs) in enumerate(zip(size.inner, size.outputs, strict=True)):
            for block in range(size.blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                self.blocks.append(Block(inputs, inner, outputs, stride, dropout))
                inputs = outputs
        self.bn = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        x = functional.relu(self.bn(self.blocks(self.conv(x))))
        return cast("Tensor", self.fc(x.mean((2, 3))))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> WideResNet:
    """The WideResNet of a name.

    Raises:
        UserError: The images are too small.
    """
    require_room(shape)
    return WideResNet(shape[0], wide(arguments), classes)


def build_dropout(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> WideResNet:
    """The WideResNet of a name, with dropout of 0.3 in its blocks.

    Raises:
        UserError: The images are too small.
    """
    require_room(shape)
    return WideResNet(shape[0], wide(arguments), classes, _DROPOUT)
