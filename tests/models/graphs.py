"""Small networks with all the ways in which channels go, for the tests of what stands on graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from foundations.draws import generator

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE = (3, 8, 8)
CLASSES = 4


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)


class Chain(nn.Module):
    """Biases, no norms, a pool, a flattening of 2 x 2 positions, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(5, 4, 3, padding=1),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(2),
        )
        self.hidden = nn.Linear(16, 6)
        self.fc = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.body(x)
        x = functional.dropout(self.hidden(x.view(x.size(0), -1)), 0.5, self.training)
        return cast("Tensor", self.fc(1.7159 * torch.tanh(x * 0.6666)))


class Basic(nn.Module):
    """A residual block; its shortcut is a projection, or slices padded with zeros (option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, projects: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = _conv(outputs, outputs), nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs
        changes = stride != 1 or inputs != outputs
        self.shortcut = (
            nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
            if projects and changes
            else nn.Identity()
        )
        self.pads = changes and not projects

    def forward(self, x: Tensor) -> Tensor:
        """Halves positions by the stride."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.pads:
            x = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(x, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        y += self.shortcut(x)
        return functional.relu(y)


class Residual(nn.Module):
    """A stem and three blocks."""

    def __init__(self, *, projects: bool) -> None:
        super().__init__()
        self.conv, self.bn = _conv(3, 4), nn.BatchNorm2d(4)
        self.blocks = nn.Sequential(
            Basic(4, 4, 1, projects=projects),
            Basic(4, 7, 2, projects=projects),
            Basic(7, 7, 1, projects=projects),
        )
        self.fc = nn.Linear(7, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.blocks(functional.relu(self.bn(self.conv(x))))
        return cast("Tensor", self.fc(x.mean((2, 3))))


class Pre(nn.Module):
    """Norm and activation before each convolution, shared with the projection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), _conv(inputs, outputs)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), _conv(outputs, outputs)
        self.project = _conv(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """As many positions."""
        y = torch.relu(self.bn1(x))
        shortcut = x if self.project is None else self.project(y)
        return cast("Tensor", self.conv2(torch.relu(self.bn2(self.conv1(y)))) + shortcut)


class PreActivation(nn.Module):
    """Three pre-activation blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _conv(3, 4)
        self.blocks = nn.Sequential(Pre(4, 5), Pre(5, 5), Pre(5, 5))
        self.bn, self.fc = nn.BatchNorm2d(5), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = functional.relu(self.bn(self.blocks(self.conv(x))))
        return cast("Tensor", self.fc(functional.avg_pool2d(x, 8).flatten(1)))


class Dense(nn.Module):
    """Every layer reads all those before it; a bottleneck; norms over concatenations."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, 4)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4 + 3 * n) for n in range(3))
        self.layers = nn.ModuleList([_conv(4, 3), _conv(2, 3)])
        self.narrow = nn.Sequential(_conv(7, 2, 1), nn.BatchNorm2d(2), nn.ReLU())
        self.fc = nn.Linear(10 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.stem(x)
        x = torch.cat([x, self.layers[0](self.norms[0](x).relu())], 1)
        x = torch.cat([x, self.layers[1](self.narrow(self.norms[1](x).relu()))], 1)
        x = functional.adaptive_max_pool2d(self.norms[2](x).relu(), 2)
        return cast("Tensor", self.fc(torch.flatten(x, 1)))


class Depthwise(nn.Module):
    """Inverted residuals: depthwise convolutions, linear sums, a squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = _conv(3, 4), nn.BatchNorm2d(4)
        self.wide, self.bn1 = _conv(4, 6, 1), nn.BatchNorm2d(6)
        self.deep, self.bn2 = _conv(6, 6, groups=6), nn.BatchNorm2d(6)
        self.narrow, self.bn3 = _conv(6, 4, 1), nn.BatchNorm2d(4)
        self.squeeze, self.excite = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1)
        self.fc = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = functional.relu6(self.bn(self.stem(x)))
        y = functional.relu6(self.bn1(self.wide(x)))
        y = functional.silu(self.bn2(self.deep(y)))
        scale = functional.silu(self.squeeze(functional.adaptive_avg_pool2d(y, 1)))
        y = y * self.excite(scale).sigmoid()
        x = x + self.bn3(self.narrow(y))
        return cast("Tensor", self.fc(x.mean([2, 3])))


class Repeated(nn.Module):
    """One convolution that is run twice, a shuffle of channels between halves, and hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.part = _conv(3, 6), _conv(6, 6), _conv(3, 3)
        self.hidden, self.fc = nn.Linear(6, 5), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.twice(self.twice(self.stem(x).relu()).relu()).relu()
        a, b = x.chunk(2, 1)
        x = torch.cat((a, self.part(b).relu()), 1)
        size, channels, height, width = x.shape
        x = x.view(size, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        x = self.hidden(x.view(size, -1, height, width).mean((2, 3)))
        return cast("Tensor", self.fc(x))


class Grouped(nn.Module):
    """A grouped convolution, then a depthwise one with two filters for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.grouped = _conv(3, 4), _conv(4, 6, groups=2)
        self.last, self.doubled = _conv(6, 3), _conv(3, 6, groups=3)
        self.fc = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.last(self.grouped(self.stem(x).relu()).relu()).relu()
        return cast("Tensor", self.fc(self.doubled(x).relu().mean((2, 3))))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "chain": Chain,
    "option_b": lambda: Residual(projects=True),
    "option_a": lambda: Residual(projects=False),
    "pre_activation": PreActivation,
    "dense": Dense,
    "depthwise": Depthwise,
    "repeated": Repeated,
    "grouped": Grouped,
}


@torch.no_grad()
def drawn(network: nn.Module, shape: tuple[int, int, int] = SHAPE) -> nn.Module:
    """The network in float64 and evaluation mode, every parameter drawn.

    Norms scale by 0.5 or more, shift by a tenth, and have the statistics of drawn images: no ReLU
    is off for all of them.
    """
    network = network.double().train()
    for name, tensor in network.named_parameters():
        tensor.normal_(generator=generator(11, name))
        tensor.div_(tensor[0].numel() ** 0.5 if tensor.dim() > 1 else 10)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.weight.abs_().add_(0.5)
            norm.momentum = None  # a mean over batches, of which there is one
    network(images(16, shape))
    return network.eval()


def images(count: int, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    """Drawn images."""
    return torch.randn((count, *shape), generator=generator(12, "images"), dtype=torch.float64)
