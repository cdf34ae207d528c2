"""VGG networks for 32x32 images whose batch norms come after the ReLUs.

The convolutions of ``cifar_vgg`` without biases, each followed by ReLU and then batch norm, as in
"A Gradient Flow Framework for Analyzing Network Pruning" (Lubana and Dick 2021), and one linear
layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn
from torch.nn import functional

from models.cifar_vgg import LAYERS, VGG, WIDTHS, require_side

if TYPE_CHECKING:
    from models.family import Arguments


class ConvLayer(nn.Module):
    """A 3x3 convolution, ReLU and batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height, width)."""
        return cast("Tensor", self.bn(functional.relu(self.conv(x))))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> VGG:
    """The VGG network of a name.

    Raises:
        UserError: The images are not of 32x32 pixels.
    """
    require_side(shape)
    width = int(arguments.get("width", WIDTHS[0]))
    widths = [width * usual // WIDTHS[0] for usual in WIDTHS]
    return VGG(shape[0], LAYERS[arguments["depth"]], classes, ConvLayer, widths)
