"""VGG networks for 32x32 images with a hidden layer in the classifier, as weight-level pruning has.

The convolutions of ``cifar_vgg`` without biases, which batch norms make superfluous, and two linear
layers: 512 to 512 with batch norm and ReLU, and the output layer.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from models.cifar_vgg import LAYERS, WIDTHS, ConvLayer, features, require_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.family import Arguments

HIDDEN = 512


class HiddenVGG(nn.Module):
    """A chain of convolutions and two linear layers.

    Args:
        channels: Of the images.
        layers: How many convolutions each of the five groups has.
        classes: Units of the output layer.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(self, channels: int, layers: Sequence[int], classes: int) -> None:
        super().__init__()
        self.layers = features(channels, layers, partial(ConvLayer, bias=False))
        self.hidden = nn.Linear(WIDTHS[-1], HIDDEN)
        self.bn = nn.BatchNorm1d(HIDDEN)
        self.fc = nn.Linear(HIDDEN, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, 32, 32)."""
        x = self.hidden(self.layers(x).flatten(1))
        return cast("Tensor", self.fc(functional.relu(self.bn(x))))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> HiddenVGG:
    """The VGG network of a name.

    Raises:
        UserError: The images are not of 32x32 pixels.
    """
    require_side(shape)
    return HiddenVGG(shape[0], LAYERS[arguments["depth"]], classes)
