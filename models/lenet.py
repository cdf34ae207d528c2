"""LeNet: fully connected layers with ReLU between them (LeCun et al. 1998, without convolutions).

LeNet-300-100 on MNIST is the standard small network of the pruning literature.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.family import Arguments

DEFAULT_WIDTHS = "300_100"


class LeNet(nn.Module):
    """A perceptron on flattened images.

    Args:
        inputs: Numbers in an image, over all channels.
        widths: Units of each hidden layer.
        classes: Units of the output layer.
        activation: Follows each hidden layer.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        classes: int,
        activation: Callable[[Tensor], Tensor] = functional.relu,
    ) -> None:
        super().__init__()
        sizes = [inputs, *widths]
        self.fc_layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.fc = nn.Linear(sizes[-1], classes)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        x = x.flatten(1)
        for layer in self.fc_layers:
            x = self.activation(layer(x))
        return cast("Tensor", self.fc(x))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> LeNet:
    """The LeNet of a name, for images of any shape."""
    widths = arguments.get("widths", DEFAULT_WIDTHS).split("_")
    return LeNet(math.prod(shape), [int(width) for width in widths], classes)
