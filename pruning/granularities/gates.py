"""Gates: activations, silenced after ReLU or after a residual addition; weights stay as they are.

The channels and nodes of "Fine Granularity is Critical for Intelligent Neural Network Pruning":
a mask of ones on the activation of each channel or unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch

from foundations.errors import UserError
from models.gates import buffer_name, gate_name
from pruning.granularities.channels import ignores, weight_of
from pruning.granularity import Granularity, of_kept
from pruning.mask import Mask
from pruning.reduction import reduction_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from models.wiring import Wiring
    from pruning.choices import Reduction
    from pruning.subject import Subject


class Made(NamedTuple):
    """Some of a site's channels, and the layer that makes them."""

    layer: str
    rows: NDArray[np.int64]
    """The layer's channels."""
    places: NDArray[np.int64]
    """Where they are in the gate."""


@dataclass(frozen=True, eq=False)
class Gates(Granularity):
    """Each entry of each gate is a unit; scores of weights are those of the layer that makes it."""

    made: Mapping[str, tuple[Made, ...]]
    """By the name of a gate."""
    reduction: Reduction

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """At all sites of the network but those of ignored layers.

        Raises:
            UserError: The network has none, or cannot be traced.
        """
        found = {
            gate_name(site): parts
            for site, parts in makers(subject.wiring).items()
            if not any(ignores(subject.hparams, part.layer) for part in parts)
        }
        if not found:
            raise UserError("--granularity=gates finds no place for a gate in this network.")
        return cls(found, reduction_of(subject))

    def units(self, mask: Mask) -> Mask:
        """What the gates of the mask keep; all, where it has none."""
        device = next(iter(mask.values())).device
        widths = {name: sum(len(part.rows) for part in parts) for name, parts in self.made.items()}
        ones = {n: torch.ones(k, dtype=torch.bool, device=device) for n, k in widths.items()}
        return Mask({name: mask.get(name, ones[name]) for name in self.made})

    def scored(self, mask: Mask) -> list[str]:  # noqa: ARG002 - the interface's
        """The weights of the layers that make what the gates let through."""
        layers = {part.layer for parts in self.made.values() for part in parts}
        return sorted(weight_of(layer) for layer in layers)

    def scores(self, scores: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
        """Reduced over the inputs of the layer that makes the channel.

        Of layers that are added, that is the deepest one: not the projection of a shortcut.
        """
        kept = of_kept(scores, mask, self.scored(mask))
        rows = {name: self.reduction(each.flatten(1), (1,)) for name, each in kept.items()}
        return {name: _gathered(parts, rows) for name, parts in self.made.items()}

    def mask(self, units: Mask, mask: Mask) -> Mask:
        """The gates as they are."""
        return Mask({**mask, **units})

    def multiplied(self, mask: Mask) -> list[str]:  # noqa: ARG002 - the interface's
        """The gates themselves, by their names in a gated network."""
        return [buffer_name(name) for name in self.made]

    def sums(self, products: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:  # noqa: ARG002 - the interface's
        """Each gate is a multiplier."""
        return {name: products[buffer_name(name)] for name in self.made}


def _gathered(parts: tuple[Made, ...], rows: Mapping[str, Tensor]) -> Tensor:
    """What the layers have for each channel, in the order of the gate."""
    found = torch.cat([rows[weight_of(layer)][_index(at, rows)] for layer, at, _ in parts])
    return found[_index(np.argsort(np.concatenate([part.places for part in parts])), rows)]


def _index(at: NDArray[np.int64], rows: Mapping[str, Tensor]) -> Tensor:
    return torch.from_numpy(at).to(next(iter(rows.values())).device)


def makers(wiring: Wiring) -> dict[str, tuple[Made, ...]]:
    """By the name of a site, the layers that make its channels; of a sum, the deepest of them.

    Sites that something else than a layer has a part in are left out.
    """
    flow, layers = wiring.flow, list(wiring.producers)
    number = {layer: at for at, layer in enumerate(layers)}
    origin, row, depth = (np.full(flow.wires + 2, value) for value in (-1, -1, 0))
    found = {}
    for step in flow.steps:
        if step.kind == "mix":
            origin[step.outputs] = number[step.name]
            row[step.outputs] = np.arange(len(step.outputs))
            depth[step.outputs] = 1 + depth[step.sources].max()
        elif step.elementwise:
            deepest = depth[step.sources].argmax(0)
            chosen = step.sources[deepest, np.arange(step.sources.shape[1])]
            origin[step.outputs], row[step.outputs] = origin[chosen], row[chosen]
            depth[step.outputs] = depth[chosen]
        if step.kind == "gate" and step.name in wiring.sites and (origin[step.outputs] >= 0).all():
            found[step.name] = tuple(_made(layers, origin[step.outputs], row[step.outputs]))
    return found


def _made(layers: list[str], origin: NDArray[np.int64], row: NDArray[np.int64]) -> Iterator[Made]:
    for at in np.unique(origin):
        places = np.flatnonzero(origin == at)
        yield Made(layers[at], row[places], places)
