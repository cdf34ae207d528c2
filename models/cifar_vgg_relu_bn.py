"""VGG networks for 32x32 images whose batch norms come after the ReLUs.

The convolutions of ``cifar_vgg`` without biases, each followed by ReLU and then batch norm, as in
"A Gradient Flow Framework for Analyzing Network Pruning" (Lubana and Dick 2021), and one linear
layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from models.cifar_vgg import LAYERS, WIDTHS, features, require_side

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class ReluBnVGG(nn.Module):
    """A chain of convolutions.

    Args:
        channels: Of the images.
        layers: How many convolutions each of the five groups has.
        width: W, the channels of the first group; those of the others grow with it.
        classes: Units of the output layer.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(self, channels: int, layers: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        widths = [width * usual // WIDTHS[0] for usual in WIDTHS]
        self.layers = features(channels, layers, ConvLayer, widths)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, 32, 32)."""
        return cast("Tensor", self.fc(self.layers(x).flatten(1)))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> ReluBnVGG:
    """The VGG network of a name.

    Raises:
        UserError: The images are not of 32x32 pixels.
    """
    require_side(shape)
    width = int(arguments.get("width", WIDTHS[0]))
    return ReluBnVGG(shape[0], LAYERS[arguments["depth"]], width, classes)
