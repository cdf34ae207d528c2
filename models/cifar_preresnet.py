"""Pre-activation ResNets for small images ("Identity Mappings in Deep Residual Networks", 2016).

Batch norm and ReLU come before each convolution, and nothing follows a sum until the last block's.
Where the number of channels or the resolution changes, the shortcut is a 1x1 convolution of the
block's input, without batch norm. Blocks are basic (6D+2 layers) or bottlenecks (9D+2).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from models.cifar_resnet import convolution, require_room
from models.declarations.names import BOTTLENECKS_FROM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.family import Arguments

_STEM = 16
_EXPANSION = 4
"""How many times wider than inside the output of a bottleneck is."""


class Block(nn.Module):
    """Convolutions, each after batch norm and ReLU, added to a shortcut.

    Args:
        widths: Channels before the first convolution and after each.
        sizes: The side of each convolution's kernels.
        stride: Of the first convolution of 3x3.
    """

    def __init__(self, widths: Sequence[int], sizes: Sequence[int], stride: int) -> None:
        super().__init__()
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[:-1])
        strides = [stride if layer == sizes.index(3) else 1 for layer in range(len(sizes))]
        self.convs = nn.ModuleList(
            convolution(*pair, size, step)
            for pair, size, step in zip(pairwise(widths), sizes, strides, strict=True)
        )
        same = stride == 1 and widths[0] == widths[-1]
        changed = nn.Sequential() if same else convolution(widths[0], widths[-1], 1, stride)
        self.shortcut: nn.Module = changed

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height/stride, width/stride)."""
        y = x
        for bn, conv in zip(self.bns, self.convs, strict=True):
            y = conv(functional.relu(bn(y)))
        return cast("Tensor", y + self.shortcut(x))


class PreResNet(nn.Module):
    """A residual network of three stages.

    Args:
        channels: Of the images.
        blocks: D, the number of blocks in each stage.
        bottleneck: Whether blocks are of three convolutions, the outer two of 1x1.
        classes: Units of the output layer.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(self, channels: int, blocks: int, *, bottleneck: bool, classes: int) -> None:
        super().__init__()
        self.conv = convolution(channels, _STEM, 3, 1)
        self.blocks = nn.Sequential()
        inputs = _STEM
        for stage in range(3):
            inner = _STEM * 2**stage
            outputs = inner * _EXPANSION if bottleneck else inner
            for block in range(blocks):
                widths = (inputs, inner, inner, outputs) if bottleneck else (inputs, inner, inner)
                stride = 2 if stage > 0 and block == 0 else 1
                self.blocks.append(Block(widths, (1, 3, 1) if bottleneck else (3, 3), stride))
                inputs = outputs
        self.bn = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        x = functional.relu(self.bn(self.blocks(self.conv(x))))
        return cast("Tensor", self.fc(x.mean((2, 3))))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> PreResNet:
    """The pre-activation ResNet of a name.

    Raises:
        UserError: The images are too small.
    """
    require_room(shape)
    depth = int(arguments["depth"])
    bottleneck = depth >= BOTTLENECKS_FROM or "bottleneck" in arguments
    blocks = (depth - 2) // (9 if bottleneck else 6)
    return PreResNet(shape[0], blocks, bottleneck=bottleneck, classes=classes)
