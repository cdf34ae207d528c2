"""Channels and nodes: what a filter or a unit computes, with its bias and batch norm.

Which channels go together is found in the network's graph. A channel that is cut is exactly zero
for whatever reads it: its weights, its bias, and the scale and shift of every norm that nothing
else reaches are cut with it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import nn

from foundations.errors import UserError
from models.wiring import groups, silenced
from pruning.granularities.multipliers import Multiplied, multipliers
from pruning.granularity import Granularity, of_kept
from pruning.layers import begins
from pruning.mask import Mask
from pruning.reduction import reduction_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from models.wiring import Group, Wiring
    from pruning.choices import Reduction
    from pruning.hparams import PruningHparams
    from pruning.subject import Subject


class Family(NamedTuple):
    """Groups of channels that are made by the same layers."""

    layers: tuple[str, ...]
    rows: NDArray[np.int64]
    """(groups, layers): the output channel that each group has of each layer."""
    places: NDArray[np.int64]
    """(groups,): where the groups stand among all those whose first layer is the same."""

    @property
    def name(self) -> str:
        """What its units are called: the weight of the first layer."""
        return weight_of(self.layers[0])


@dataclass(frozen=True, eq=False)
class Channels(Granularity):
    """Channels of convolutions and hidden units of linear layers, each with all that goes with it.

    Units are called after the weight of the first of their layers, and are in the order of its
    channels: of a layer some of whose channels cannot be cut, the others.
    """

    families: tuple[Family, ...]
    wiring: Wiring
    shapes: Mapping[str, torch.Size]
    """Of all parameters of the network."""
    reduction: Reduction
    cuts: ClassVar[str] = "channels of convolutions and hidden units of linear layers"

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """Coupled as the hyperparameters say; a group that has a part in an ignored layer is left.

        Raises:
            UserError: There is nothing that could be cut, or the network cannot be traced.
        """
        hparams = subject.hparams
        chosen = [
            group
            for group in groups(subject.wiring, hparams.coupling)
            if cls.takes(subject.network, group)
            and not any(ignores(hparams, layer) for layer, _ in group)
        ]
        if not chosen:
            raise UserError(
                f"--granularity={hparams.granularity} with --coupling={hparams.coupling} finds "
                f"nothing in this network that could be cut: it cuts {cls.cuts}."
            )
        shapes = {name: weight.shape for name, weight in subject.network.named_parameters()}
        return cls(_families(chosen), subject.wiring, shapes, reduction_of(subject))

    @classmethod
    def takes(cls, network: nn.Module, group: Group) -> bool:  # noqa: ARG003 - for those that choose
        """Whether these channels may be cut: all may."""
        return True

    def units(self, mask: Mask) -> Mask:
        """Channels with any weight, in any of their layers."""
        rows = {layer: mask[weight_of(layer)].flatten(1).any(1) for layer in self.layers}
        return Mask(self._joined(_any(family, rows) for family in self.families))

    def scored(self, mask: Mask) -> list[str]:  # noqa: ARG002 - the interface's
        """The weights of the layers."""
        return [weight_of(layer) for layer in self.layers]

    def scores(self, scores: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
        """Reduced over all weights of all layers that have a part in the channel."""
        kept = of_kept(scores, mask, self.scored(mask))
        rows = {layer: kept[weight_of(layer)].flatten(1) for layer in self.layers}
        return self._joined(self.reduction(_matrix(family, rows), (1,)) for family in self.families)

    def mask(self, units: Mask, mask: Mask) -> Mask:
        """Cut channels lose weights and biases, and the norms that nothing else reaches."""
        device = next(iter(units.values())).device
        silent = self._silent({name: kept.cpu().numpy() for name, kept in units.items()})
        changed = {}
        for module, cut in silent.items():
            gone = torch.from_numpy(cut).to(device)
            for name in (f"{module}.weight", f"{module}.bias"):
                if name in self.shapes and cut.any():
                    ones = torch.ones(self.shapes[name], dtype=torch.bool, device=device)
                    kept = ~gone.reshape(-1, *(1 for _ in self.shapes[name][1:]))
                    changed[name] = mask.get(name, ones) & kept
        return Mask({**mask, **changed})

    def multiplied(self, mask: Mask) -> list[str]:  # noqa: ARG002 - the interface's
        """The scale and shift of the last norm of each layer's own; else its weight and bias."""
        return sorted({name for each in self.multipliers.values() for name in each.rows})

    def sums(self, products: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:  # noqa: ARG002 - the interface's
        """Summed over what each layer has of the channel, and over the layers."""
        rows = {layer: each.sums(products)[:, None] for layer, each in self.multipliers.items()}
        return self._joined(_matrix(family, rows).sum(1) for family in self.families)

    def means(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """For each unit, the mean over its layers of what these have for each of their channels.

        Args:
            values: By the name of a layer, (channels,); a layer that has none is passed over.

        Raises:
            UserError: None of a unit's layers has any.
        """
        means = []
        for family in self.families:
            known = [at for at, layer in enumerate(family.layers) if layer in values]
            if not known:
                raise UserError(
                    f"The channels of {' and '.join(family.layers)} have nothing to be scored by: "
                    "choose another --strategy or --coupling, or ignore these layers "
                    "(--layers_to_ignore)."
                )
            part = family._replace(
                layers=tuple(family.layers[at] for at in known), rows=family.rows[:, known]
            )
            own = {layer: values[layer][:, None] for layer in part.layers}
            means.append(_matrix(part, own).mean(1))
        return self._joined(means)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The layers that have channels that can be cut, in the network's order."""
        present = {layer for family in self.families for layer in family.layers}
        return tuple(layer for layer in self.wiring.producers if layer in present)

    @cached_property
    def multipliers(self) -> dict[str, Multiplied]:
        """For each layer, what its channels' multipliers stand before."""
        return multipliers(self.wiring, self.layers, self.shapes)

    def _silent(self, units: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.bool_]]:
        """By the name of a module, which of its channels are cut."""
        cut = {layer: np.zeros(len(self.wiring.producers[layer]), bool) for layer in self.layers}
        for family in self.families:
            gone = ~units[family.name][family.places]
            for at, layer in enumerate(family.layers):
                cut[layer][family.rows[gone, at]] = True
        return cut | silenced(self.wiring, cut)

    def _joined(self, values: Iterable[Tensor]) -> dict[str, Tensor]:
        """What each family has, by the names of units."""
        parts: dict[str, list[tuple[NDArray[np.int64], Tensor]]] = defaultdict(list)
        for family, value in zip(self.families, values, strict=True):
            parts[family.name].append((family.places, value))
        joined = {}
        for name, found in parts.items():
            order = np.argsort(np.concatenate([places for places, _ in found]))
            together = torch.cat([value for _, value in found])
            joined[name] = together[torch.from_numpy(order).to(together.device)]
        return joined


class Nodes(Channels):
    """Units of hidden linear layers: a row of the weights and its bias."""

    cuts = "hidden units of linear layers alone; --granularity=channels takes convolutions too"

    @classmethod
    def takes(cls, network: nn.Module, group: Group) -> bool:
        """Whether all layers are linear."""
        return all(isinstance(network.get_submodule(layer), nn.Linear) for layer, _ in group)


def ignores(hparams: PruningHparams, layer: str) -> bool:
    """Whether a layer is not to be pruned."""
    return any(begins(weight_of(layer), beginning) for beginning in hparams.layers_to_ignore)


def weight_of(layer: str) -> str:
    """The name of a layer's weight."""
    return f"{layer}.weight"


def _families(chosen: Iterable[Group]) -> tuple[Family, ...]:
    rows: dict[tuple[str, ...], list[list[int]]] = defaultdict(list)
    firsts: dict[str, list[int]] = defaultdict(list)
    for group in chosen:
        layers = tuple(layer for layer, _ in group)
        rows[layers].append([row for _, row in group])
        firsts[layers[0]].append(group[0][1])
    families = []
    for layers, own in rows.items():
        members = np.array(own)
        places = np.searchsorted(np.sort(firsts[layers[0]]), members[:, 0])
        families.append(Family(layers, members, places))
    return tuple(families)


def _any(family: Family, rows: Mapping[str, Tensor]) -> Tensor:
    return _matrix(family, {layer: kept[:, None] for layer, kept in rows.items()}).any(1)


def _matrix(family: Family, rows: Mapping[str, Tensor]) -> Tensor:
    """What the layers have in their rows, side by side: (groups, ...)."""
    at = torch.from_numpy(family.rows)
    parts = [rows[layer][at[:, n].to(rows[layer].device)] for n, layer in enumerate(family.layers)]
    return torch.cat(parts, 1)
