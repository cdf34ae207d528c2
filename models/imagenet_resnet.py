"""ResNets for ImageNet (He et al. 2016, table 1), and those for TinyImageNet with a smaller stem.

Four stages with W, 2W, 4W and 8W channels, four times as many where blocks are bottlenecks, whose
stride is in the 3x3 convolution. The names and shapes of parameters are those of torchvision's
networks, so that weights can be taken over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from foundations.errors import UserError
from models.cifar_resnet import convolution, projection

if TYPE_CHECKING:
    from models.family import Arguments

DEFAULT_WIDTH = "64"


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, added to a shortcut."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height/stride, width/stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, all with batch norm, added to a shortcut."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = convolution(inputs, width, 1, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, outputs, 1, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height/stride, width/stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + self.downsample(x))


BLOCKS: dict[str, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    "18": (BasicBlock, (2, 2, 2, 2)),
    "34": (BasicBlock, (3, 4, 6, 3)),
    "50": (Bottleneck, (3, 4, 6, 3)),
    "101": (Bottleneck, (3, 4, 23, 3)),
    "152": (Bottleneck, (3, 8, 36, 3)),
    "200": (Bottleneck, (3, 24, 36, 3)),
}
"""By the depth: the kind of block, and how many each stage has."""


class ResNet(nn.Module):
    """A residual network of four stages.

    Args:
        channels: Of the images.
        depth: A key of ``BLOCKS``.
        width: W, the channels of the stem.
        classes: Units of the output layer.
        large_stem: A 7x7 convolution and a max-pool, each of stride 2; else a 3x3 convolution.
    """

    output_layer: ClassVar[str] = "fc"

    def __init__(
        self, channels: int, depth: str, width: int, classes: int, *, large_stem: bool
    ) -> None:
        super().__init__()
        kind, counts = BLOCKS[depth]
        self.conv1 = convolution(channels, width, *((7, 2) if large_stem else (3, 1)))
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if large_stem else nn.Identity()
        inner = [width * 2**stage for stage in range(4)]
        inputs = [width, *(i * kind.expansion for i in inner)]
        stages = map(_stage, [kind] * 4, inputs, inner, counts, (1, 2, 2, 2))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(inputs[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return cast("Tensor", self.fc(x.mean((2, 3))))


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> ResNet:
    """The ResNet of a name, as for ImageNet.

    Raises:
        UserError: The images are too small.
    """
    return _build(arguments, shape, classes, large_stem=True)


def build_modified(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> ResNet:
    """The ResNet of a name with a 3x3 stem of stride 1 and no max-pool, for smaller images.

    Raises:
        UserError: The images are too small.
    """
    return _build(arguments, shape, classes, large_stem=False)


def _build(
    arguments: Arguments, shape: tuple[int, int, int], classes: int, *, large_stem: bool
) -> ResNet:
    channels, height, width = shape
    halvings = 5 if large_stem else 3
    least = 2**halvings
    if min(height, width) < least:
        raise UserError(
            f"A ResNet for ImageNet needs images of at least {least} x {least} pixels: this one "
            f"halves them {halvings} times. These have {height} x {width}. Choose another network, "
            "or enlarge the images."
        )
    stem = int(arguments.get("width", DEFAULT_WIDTH))
    return ResNet(channels, arguments["depth"], stem, classes, large_stem=large_stem)


def _stage(
    kind: type[BasicBlock | Bottleneck], inputs: int, width: int, count: int, stride: int
) -> nn.Sequential:
    later = (kind(width * kind.expansion, width, 1) for _ in range(count - 1))
    return nn.Sequential(kind(inputs, width, stride), *later)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    same = stride == 1 and inputs == outputs
    return nn.Sequential() if same else projection(inputs, outputs, stride)
