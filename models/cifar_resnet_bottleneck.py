"""ResNets for small images whose blocks are bottlenecks, with projections on the shortcuts.

A 3x3 stem, three stages of D bottlenecks with W, 2W and 4W channels inside and four times as many
outside, and one linear layer after a global average. "Rethinking the Value of Network Pruning"
(Liu et al. 2019) counts blocks as if they were basic: its ResNet-56 has 9 a stage. A projection is
a 1x1 convolution with batch norm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from models.cifar_resnet import DEFAULT_WIDTH, convolution, require_room
from models.imagenet_resnet import Bottleneck

if TYPE_CHECKING:
    from models.family import Arguments


class BottleneckResNet(nn.Module):
    """A residual network of three stages.

    Args:
        channels: Of the images.
        blocks: D, the number of blocks in each stage.
        width: W, the channels of the stem and inside the blocks of the first stage.
        classes: Units of the output layer.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(self, channels: int, blocks: int, width: int, classes: int) -> None:
        super().__init__()
        self.conv = convolution(channels, width, 3, 1)
        self.bn = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential()
        inputs = width
        for stage in range(3):
            for block in range(blocks):
                inner = width * 2**stage
                self.blocks.append(Bottleneck(inputs, inner, 2 if stage > 0 and block == 0 else 1))
                inputs = inner * Bottleneck.expansion
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        x = self.blocks(functional.relu(self.bn(self.conv(x))))
        return cast("Tensor", self.fc(x.mean((2, 3))))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> BottleneckResNet:
    """The ResNet of a name.

    Raises:
        UserError: The images are too small.
    """
    require_room(shape)
    blocks = (int(arguments["depth"]) - 2) // 6
    width = int(arguments.get("width", DEFAULT_WIDTH))
    return BottleneckResNet(shape[0], blocks, width, classes)
