"""ResNets for small images whose shortcuts have no parameters (option A of He et al. 2016).

Where a stage begins, the shortcut halves the resolution by averages of 2x2 pixels and adds channels
of zeros, as in the code of Liu et al. 2019 and of those who built on it. That code reads the values
alone: its shortcuts carry no gradient there. The variant ``_detached`` is faithful to this fault;
the outputs are the same.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from models.cifar_resnet import ResNet, resnet

if TYPE_CHECKING:
    from models.family import Arguments


class PaddedShortcut(nn.Module):
    """Averages of pixels, and channels of zeros after those that there are.

    Args:
        inputs: Channels.
        outputs: Channels, at least as many.
        stride: The side of the squares that are averaged; those at the border may be cut off.
        carries_gradient: Whether gradients flow back through it.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, carries_gradient: bool) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(stride, ceil_mode=True)
        self.added = outputs - inputs
        self.carries_gradient = carries_gradient

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height/stride, width/stride)."""
        x = self.pool(x if self.carries_gradient else x.detach())
        return functional.pad(x, (0, 0, 0, 0, 0, self.added))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> ResNet:
    """The ResNet of a name.

    Raises:
        UserError: The images are too small.
    """
    return resnet(arguments, shape, classes, partial(PaddedShortcut, carries_gradient=True))


def build_detached(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> ResNet:
    """The ResNet of a name, whose shortcuts carry no gradient where a stage begins.

    Raises:
        UserError: The images are too small.
    """
    return resnet(arguments, shape, classes, partial(PaddedShortcut, carries_gradient=False))
