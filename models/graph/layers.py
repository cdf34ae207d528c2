"""What convolutions, linear layers, norms and gates do to wires.

Each gives the wires of the output, or None where the input's channels are not told apart.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from models.graph.arrays import along, spread
from models.graph.flow import Site

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.graph.ledger import Ledger
    from models.graph.places import Place


def convolution(
    ledger: Ledger, name: str, module: nn.Conv2d, wires: Tensor, shape: tuple[int, ...]
) -> Tensor | None:
    """A 2-d convolution with an output of this shape, the batch included."""
    channels = along(wires, 1) if wires.dim() == 4 else None
    ledger.count(name, shape[1:], prod(shape[-2:]))
    if channels is None:
        return None
    outputs, groups = module.out_channels, module.groups
    if groups == module.in_channels > 1:
        repeated = np.repeat(channels, outputs // groups)
        return spread(ledger.step("scale", repeated, outputs, name=name), shape, 1)
    new = ledger.step("mix", channels, outputs, name=name, groups=groups)
    return spread(new, shape, 1)


def linear(ledger: Ledger, name: str, module: nn.Linear, wires: Tensor) -> Tensor | None:
    """A linear layer, along the last dimension."""
    features = along(wires, -1)
    shape = (*wires.shape[:-1], module.out_features)
    ledger.count(name, shape[1:], prod(shape[1:-1]))
    if features is None:
        return None
    return spread(ledger.step("mix", features, module.out_features, name=name), shape, -1)


def norm(ledger: Ledger, name: str, wires: Tensor) -> Tensor | None:
    """A norm of each channel by itself, along dimension 1."""
    channels = along(wires, 1)
    if channels is None:
        return None
    return spread(ledger.step("norm", channels, len(channels), name=name), wires.shape, 1)


def gate(ledger: Ledger, place: Place, node: str, wires: Tensor) -> Tensor:
    """The place of a gate, where each channel is made by a layer; else nothing."""
    channels = along(wires, 1) if wires.dim() in {2, 4} else None
    if channels is None or channels.max() < len(ledger.steps[0].outputs):
        return wires
    ledger.sites[place.name] = Site(place.name, place.kind, len(channels), node)
    new = ledger.step("gate", channels, len(channels), name=place.name)
    return spread(new, wires.shape, 1)
