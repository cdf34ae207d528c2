"""ResNets for small images (He et al. 2016, section 4.2), with projections on the shortcuts.

A 3x3 stem, three stages of D blocks with W, 2W and 4W channels, and one linear layer after a global
average: 6D+2 layers. Where the number of channels or the resolution changes, the shortcut is a 1x1
convolution with batch norm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from foundations.errors import UserError

if TYPE_CHECKING:
    from models.family import Arguments

DEFAULT_WIDTH = "16"
_SMALLEST_SIDE = 5
"""Of a smaller image, two halvings leave a single pixel, whose batch statistics may not exist."""


def _convolution(inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, added to a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _convolution(outputs, outputs, 3, 1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(_convolution(inputs, outputs, 1, stride))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height/stride, width/stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """A residual network of three stages.

    Args:
        channels: Of the images.
        blocks: D, the number of blocks in each stage.
        width: W, the channels of the first stage.
        classes: Units of the output layer.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(self, channels: int, blocks: int, width: int, classes: int) -> None:
        super().__init__()
        self.conv = _convolution(channels, width, 3, 1)
        self.bn = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential()
        inputs = width
        for stage in range(3):
            for block in range(blocks):
                outputs = width * 2**stage
                stride = 2 if stage > 0 and block == 0 else 1
                self.blocks.append(Block(inputs, outputs, stride))
                inputs = outputs
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        x = functional.relu(self.bn(self.conv(x)))
        x = self.blocks(x)
        return cast("Tensor", self.fc(x.mean((2, 3))))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> ResNet:
    """The ResNet of a name.

    Raises:
        UserError: The images are too small.
    """
    channels, height, width = shape
    if min(height, width) < _SMALLEST_SIDE:
        raise UserError(
            f"cifar_resnet_{arguments['depth']} needs images of at least {_SMALLEST_SIDE} x "
            f"{_SMALLEST_SIDE} pixels: it halves them twice. These have {height} x {width}. "
            "Choose another network, or enlarge the images."
        )
    blocks = (int(arguments["depth"]) - 2) // 6
    return ResNet(channels, blocks, int(arguments.get("width", DEFAULT_WIDTH)), classes)
