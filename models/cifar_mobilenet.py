"""MobileNets for small images ("MobileNets: Efficient Convolutional Neural Networks ...", 2017).

A 3x3 stem of stride 1 with W channels, 13 pairs of a depthwise 3x3 and a pointwise 1x1 convolution,
all with batch norm and ReLU, and one linear layer after a global average: 27 convolutions. Four
depthwise convolutions halve the resolution, so that of 32x32 pixels 2x2 are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from foundations.errors import UserError
from models.cifar_resnet import convolution

if TYPE_CHECKING:
    from models.family import Arguments

DEFAULT_WIDTH = "32"
_PAIRS = (
    (2, 1),
    *((4, 2), (4, 1)),
    *((8, 2), (8, 1)),
    *((16, 2), *((16, 1),) * 5),
    *((32, 2), (32, 1)),
)
"""Of each pair: its outputs as a multiple of W, and its stride."""
_SMALLEST_SIDE = 17
"""Of a smaller image, four halvings leave a single pixel, whose batch statistics may not exist."""


class Pair(nn.Module):
    """A 3x3 convolution of each channel by itself and a 1x1 convolution across the channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.pointwise = convolution(inputs, outputs, 1, 1)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height/stride, width/stride)."""
        x = functional.relu(self.bn1(self.depthwise(x)))
        return functional.relu(self.bn2(self.pointwise(x)))


class MobileNet(nn.Module):
    """A chain of pairs of convolutions.

    Args:
        channels: Of the images.
        width: W, the channels of the stem.
        classes: Units of the output layer.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.conv = convolution(channels, width, 3, 1)
        self.bn = nn.BatchNorm2d(width)
        self.pairs = nn.Sequential()
        inputs = width
        for multiple, stride in _PAIRS:
            self.pairs.append(Pair(inputs, multiple * width, stride))
            inputs = multiple * width
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        x = self.pairs(functional.relu(self.bn(self.conv(x))))
        return cast("Tensor", self.fc(x.mean((2, 3))))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> MobileNet:
    """The MobileNet of a name.

    Raises:
        UserError: The images are too small.
    """
    channels, height, width = shape
    if min(height, width) < _SMALLEST_SIDE:
        raise UserError(
            f"A MobileNet for CIFAR needs images of at least {_SMALLEST_SIDE} x {_SMALLEST_SIDE} "
            f"pixels: it halves them four times. These have {height} x {width}. Choose another "
            "network, or enlarge the images."
        )
    return MobileNet(channels, int(arguments.get("width", DEFAULT_WIDTH)), classes)
