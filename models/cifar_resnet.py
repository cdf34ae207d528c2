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
    from collections.abc import Callable

    from models.family import Arguments

    Shortcut = Callable[[int, int, int], nn.Module]
    """From inputs, outputs and stride to what leads around a block where they change."""

DEFAULT_WIDTH = "16"
_SMALLEST_SIDE = 5
"""Of a smaller image, two halvings leave a single pixel, whose batch statistics may not exist."""


def convolution(inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
    """A convolution without bias, padded so that it keeps the resolution at stride 1."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


def projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A 1x1 convolution with batch norm: shortcut B of He et al. 2016."""
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, added to a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = convolution(outputs, outputs, 3, 1)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential() if same else shortcut(inputs, outputs, stride)

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
        shortcut: Leads around the first block of the second and of the third stage.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(
        self, channels: int, blocks: int, width: int, classes: int, shortcut: Shortcut
    ) -> None:
        super().__init__()
        self.conv = convolution(channels, width, 3, 1)
        self.bn = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential()
        inputs = width
        for stage in range(3):
            for block in range(blocks):
                outputs = width * 2**stage
                stride = 2 if stage > 0 and block == 0 else 1
                self.blocks.append(Block(inputs, outputs, stride, shortcut))
                inputs = outputs
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        x = functional.relu(self.bn(self.conv(x)))
        x = self.blocks(x)
        return cast("Tensor", self.fc(x.mean((2, 3))))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> ResNet:
    """The ResNet of a name, with projections.

    Raises:
        UserError: The images are too small.
    """
    return resnet(arguments, shape, classes, projection)


def resnet(
    arguments: Arguments, shape: tuple[int, int, int], classes: int, shortcut: Shortcut
) -> ResNet:
    """The ResNet of a depth and perhaps a width, with these shortcuts.

    Raises:
        UserError: The images are too small.
    """
    require_room(shape)
    blocks = (int(arguments["depth"]) - 2) // 6
    width = int(arguments.get("width", DEFAULT_WIDTH))
    return ResNet(shape[0], blocks, width, classes, shortcut)


def require_room(shape: tuple[int, int, int]) -> None:
    """Refuse images that two halvings leave too small.

    Raises:
        UserError: Says how large they must be.
    """
    _, height, width = shape
    if min(height, width) < _SMALLEST_SIDE:
        raise UserError(
            f"A ResNet for CIFAR needs images of at least {_SMALLEST_SIDE} x {_SMALLEST_SIDE} "
            f"pixels: it halves them twice. These have {height} x {width}. Choose another network, "
            "or enlarge the images."
        )
