"""Tiny networks, weights and data that the tests of pruning share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foundations.draws import generator
from pruning.hparams import PruningHparams
from pruning.mask import Mask
from pruning.prune import Pruned, prune
from pruning.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pruning.criteria import Examples as Asked

Weights = dict[str, Tensor]
Batches = list[tuple[Tensor, Tensor]]


class ConvNet(nn.Module):
    """A convolution, batch norm, and a linear layer, with biases; 3 classes from (2, 5, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 3)."""
        x = torch.tanh(self.norm(self.conv(x)))
        out: Tensor = self.fc(x.mean((2, 3)))
        return out


class ResidualNet(nn.Module):
    """A stem, a block, a block that widens by a shortcut convolution, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 3, padding=1)
        self.block = nn.ModuleDict(
            {"conv1": nn.Conv2d(3, 2, 3, padding=1), "conv2": nn.Conv2d(2, 3, 3, padding=1)}
        )
        self.wide = nn.ModuleDict(
            {
                "conv1": nn.Conv2d(3, 4, 3, padding=1),
                "conv2": nn.Conv2d(4, 5, 3, padding=1),
                "shortcut": nn.Conv2d(3, 5, 1),
            }
        )
        self.fc = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 3)."""
        x = torch.relu(self.stem(x))
        inner = torch.relu(self.block["conv1"](x))
        x = torch.relu(x + self.block["conv2"](inner))
        inner = torch.relu(self.wide["conv1"](x))
        x = torch.relu(self.wide["shortcut"](x) + self.wide["conv2"](inner))
        out: Tensor = self.fc(x.mean((2, 3)))
        return out


def residual_net() -> tuple[ResidualNet, Weights]:
    """The network and weights of every name, all drawn."""
    network = ResidualNet()
    return network, drawn(network)


CONV_NAMES = ["conv.weight", "fc.weight"]
CONV_SHAPE = (2, 5, 5)


def conv_net(dtype: torch.dtype = torch.float32) -> tuple[ConvNet, Weights]:
    """The network and weights of every name, all drawn, none of them zero or one."""
    network = ConvNet().to(dtype)
    return network, drawn(network)


def mlp(*sizes: int, dtype: torch.dtype = torch.float32) -> tuple[nn.Sequential, Weights]:
    """Linear layers without biases and with nothing between them, after a flattening."""
    layers = [nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)]
    network = nn.Sequential(nn.Flatten(), *layers).to(dtype)
    return network, drawn(network)


def drawn(network: nn.Module) -> Weights:
    """Weights and buffers for the network from keyed draws; variances are positive."""
    weights: Weights = {}
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            draw = torch.randn(tensor.shape, generator=generator(7, name), dtype=torch.float64)
            draw = draw.abs() + 0.5 if name.endswith("running_var") else draw
            weights[name] = draw.to(tensor.dtype)
        else:
            weights[name] = tensor.clone()
    return weights


def batches(
    sizes: Sequence[int], shape: tuple[int, int, int], dtype: torch.dtype = torch.float32
) -> Batches:
    """Batches of these sizes of drawn images, with the labels 0, 1, 2, 0, 1, ..."""
    return [
        (
            torch.randn((size, *shape), generator=generator(3, n), dtype=torch.float64).to(dtype),
            torch.arange(size) % 3,
        )
        for n, size in enumerate(sizes)
    ]


@dataclass
class Examples:
    """Data for scoring that counts how often it is asked."""

    loaded: Batches
    shape: tuple[int, int, int]
    asked: int = 0

    def batches(self, examples: Asked) -> Batches:
        """All batches, whatever is asked for."""
        assert examples
        self.asked += 1
        return self.loaded


def subject(network: nn.Module, **settings: Any) -> Subject:
    """The network, on images of the shape of ``ConvNet``, to be pruned with these settings."""
    return Subject(network, PruningHparams(**settings), CONV_SHAPE)


def pruned(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    data: Examples | None = None,
    seed: int = 0,
    mask: Mask | None = None,
    **settings: Any,
) -> Pruned:
    """The network pruned with these settings."""
    return prune(subject(network, **settings), weights, data=data, seed=seed, mask=mask)


def partly(weights: Mapping[str, Tensor], names: Sequence[str]) -> Mask:
    """A mask that cuts about a third."""
    return Mask(
        {
            name: torch.rand(weights[name].shape, generator=generator(5, name)) > 1 / 3
            for name in names
        }
    )


def copied(weights: Mapping[str, Tensor]) -> Weights:
    """A copy of every tensor."""
    return {name: tensor.clone() for name, tensor in weights.items()}
