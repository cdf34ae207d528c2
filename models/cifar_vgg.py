"""VGG networks for 32x32 images (Simonyan and Zisserman 2015), with batch norm.

Five groups of 3x3 convolutions with bias, batch norm and ReLU; a 2x2 max-pool between two groups
and a 2x2 average after the last, which leave one pixel of 512 channels for one linear layer.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.family import Arguments

WIDTHS = (64, 128, 256, 512, 512)
LAYERS = {
    "11": (1, 1, 2, 2, 2),
    "13": (2, 2, 2, 2, 2),
    "16": (2, 2, 3, 3, 3),
    "19": (2, 2, 4, 4, 4),
}
"""By the depth: how many convolutions each group has."""
SIDE = 32


class ConvLayer(nn.Module):
    """A 3x3 convolution, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height, width)."""
        return functional.relu(self.bn(self.conv(x)))


_WITH_BIAS = partial(ConvLayer, bias=True)


class VGG(nn.Module):
    """A chain of convolutions.

    Args:
        channels: Of the images.
        layers: How many convolutions each of the five groups has.
        classes: Units of the output layer.
        layer: As for ``features``.
        widths: Likewise.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(
        self,
        channels: int,
        layers: Sequence[int],
        classes: int,
        layer: Callable[[int, int], nn.Module] = _WITH_BIAS,
        widths: Sequence[int] = WIDTHS,
    ) -> None:
        super().__init__()
        self.layers = features(channels, layers, layer, widths)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, 32, 32)."""
        return cast("Tensor", self.fc(self.layers(x).flatten(1)))


def features(
    channels: int,
    layers: Sequence[int],
    layer: Callable[[int, int], nn.Module],
    widths: Sequence[int] = WIDTHS,
) -> nn.Sequential:
    """The convolutions and pools, from (batch, channels, 32, 32) to (batch, last width, 1, 1).

    Args:
        channels: Of the images.
        layers: How many convolutions each group has.
        layer: From inputs and outputs to a convolution, with what belongs to it.
        widths: The channels of each group.
    """
    found = nn.Sequential()
    inputs = channels
    for group, (width, count) in enumerate(zip(widths, layers, strict=True)):
        if group > 0:
            found.append(nn.MaxPool2d(2))
        for _ in range(count):
            found.append(layer(inputs, width))
            inputs = width
    return found.append(nn.AvgPool2d(2))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> VGG:
    """The VGG network of a name.

    Raises:
        UserError: The images are not of 32x32 pixels.
    """
    require_side(shape)
    return VGG(shape[0], LAYERS[arguments["depth"]], classes)


def require_side(shape: tuple[int, int, int]) -> None:
    """Refuse images that are not of 32x32 pixels.

    Raises:
        UserError: Says how large they are.
    """
    _, height, width = shape
    if (height, width) != (SIDE, SIDE):
        raise UserError(
            f"A VGG network for CIFAR needs images of {SIDE} x {SIDE} pixels: four max-pools and a "
            f"2x2 average must leave one pixel. These have {height} x {width}. Choose another "
            "network or data set, or resize the images."
        )
