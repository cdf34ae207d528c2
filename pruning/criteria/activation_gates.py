"""Which gates each unit has, one for each example, and what derivatives by them say of the unit.

The derivative of the loss by a gate is the sum over positions of a dL/da, a the activation behind
it. Whoever runs a network with gates of its own for each example, to score or while it trains, has
these of every example and channel from one pass back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import torch

from foundations.errors import UserError
from models.gates import buffer_name, gate_name
from models.graph.labels import labels
from pruning.granularities.channels import Channels
from pruning.granularities.gates import Gates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from models.graph.flow import Site
    from models.wiring import Wiring
    from pruning.granularity import Granularity

    Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class UnitSites:
    """The sites whose gates are those of units."""

    sites: tuple[Site, ...]
    """For ``models.gates.gated``."""
    sizes: Mapping[str, int]
    """By the name of units, as the granularity has it: how many there are."""
    places: Tensor
    """int64, (n,): places of gates that are of units, in all gates one after another."""
    rows: Tensor
    """int64, (n,): the units that they are of, in all units one after another."""

    def to(self, device: torch.device | str) -> UnitSites:
        """The same with indices on a device."""
        return replace(self, places=self.places.to(device), rows=self.rows.to(device))


def sites_of(granularity: Granularity, wiring: Wiring) -> UnitSites:
    """The activations of each unit; of a unit that has none, the sums that it is a part of.

    Channels that are cut together are one channel wherever it goes: behind each layer of a residual
    stage, and behind each depthwise convolution. Of a channel that is cut without all that it is
    added to (``coupling=independent``), it is what it is before any sum.

    Raises:
        UserError: A unit has neither; or units of this granularity have no activations.
    """
    if isinstance(granularity, Gates):
        return _of_gates(granularity, wiring)
    if not isinstance(granularity, Channels):
        raise UserError(f"{type(granularity).__name__} have no activations of their own.")
    numbers = _units_of_wires(granularity, wiring)
    at_gates = {
        step.name: numbers[step.outputs]
        for step in wiring.flow.steps
        if step.kind == "gate" and step.name in wiring.sites
    }
    found = _activations_first(at_gates, wiring)
    _refuse_unseen(granularity, found)
    used = tuple(wiring.sites[name] for name, units in found.items() if (units >= 0).any())
    sizes = _sizes(granularity)
    units = np.concatenate([found[site.name] for site in used])
    places = np.flatnonzero(units >= 0)
    rows = _in_a_row(granularity, sizes)[units[places]]
    return UnitSites(used, sizes, torch.from_numpy(places), torch.from_numpy(rows))


def gates_of_examples(
    sites: UnitSites, weights: Mapping[str, Tensor], batch: int, like: Tensor
) -> dict[str, Tensor]:
    """A gate for each example: (batch, width), by the names of the gated network's buffers.

    Args:
        sites: Where gates are.
        weights: Where a mask has a gate, its values are taken; elsewhere ones.
        batch: How many examples.
        like: A tensor of the device and floating type of the gates.
    """
    found = {}
    for site in sites.sites:
        name = buffer_name(gate_name(site.name))
        value = weights.get(name, like.new_ones(site.width))
        found[name] = value.detach().to(like).expand(batch, -1).clone()
    return found


def unit_sums(
    sites: UnitSites, gates: Mapping[str, Tensor], slopes: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """For each example and unit, the sum of a dL/da over positions, and over the unit's sites.

    Args:
        sites: Where gates are.
        gates: (batch, width), by the names of the gated network's buffers.
        slopes: Likewise, the derivatives by them. L is one example's loss where they are of the sum
            over the batch; of a mean, they are to be multiplied by the batch's size.

    Returns:
        (batch, units), by the names of units.
    """
    names = [buffer_name(gate_name(site.name)) for site in sites.sites]
    products = torch.cat([gates[name] * slopes[name] for name in names], 1)
    sums = products.new_zeros(len(products), sum(sites.sizes.values()))
    sums = sums.index_add(1, sites.rows, products[:, sites.places])
    parts = torch.split(sums, list(sites.sizes.values()), 1)
    return dict(zip(sites.sizes, parts, strict=True))


def information(sums: Mapping[str, Tensor], *, batch_mean: bool = False) -> dict[str, Tensor]:
    """What a batch adds to the Fisher information of the units, before it is divided by a count.

    Args:
        sums: Of ``unit_sums``, of the losses of single examples.
        batch_mean: As if L were the mean loss of the batch, averaged over its examples: then the
            count is that of batches, otherwise that of examples.

    Returns:
        (units,), by the names of units: half the sum over examples of squares.
    """
    halves = {name: values.square().sum(0) / 2 for name, values in sums.items()}
    if not batch_mean:
        return halves
    return {name: half / len(sums[name]) ** 3 for name, half in halves.items()}


def _of_gates(granularity: Gates, wiring: Wiring) -> UnitSites:
    """Each gate is that of its own units."""
    named = {gate_name(site.name): site for site in wiring.sites.values()}
    sites = {name: named[name] for name in granularity.made}
    sizes = {name: site.width for name, site in sites.items()}
    every = torch.arange(sum(sizes.values()))
    return UnitSites(tuple(sites.values()), sizes, every, every)


def _sizes(channels: Channels) -> dict[str, int]:
    """How many units there are of each name."""
    sizes: dict[str, int] = {}
    for family in channels.families:
        sizes[family.name] = sizes.get(family.name, 0) + len(family.places)
    return sizes


def _in_a_row(channels: Channels, sizes: Mapping[str, int]) -> Numbers:
    """By number of a unit: where it is among all units, those of one name after another."""
    begins = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
    return np.concatenate([begins[family.name] + family.places for family in channels.families])


def _activations_first(found: Mapping[str, Numbers], wiring: Wiring) -> dict[str, Numbers]:
    """The units at each site, those at sums left out that have an activation elsewhere."""
    sums = {name for name in found if wiring.sites[name].kind == "sum"}
    active = np.unique(np.concatenate([[-1], *(found[n] for n in found if n not in sums)]))
    return {
        name: np.where(np.isin(units, active), -1, units) if name in sums else units
        for name, units in found.items()
    }


def _refuse_unseen(channels: Channels, found: Mapping[str, Numbers]) -> None:
    """Refuse units that are at no site."""
    seen = np.unique(np.concatenate([[-1], *found.values()]))
    first = 0
    for family in channels.families:
        numbers = first + np.arange(len(family.places))
        first += len(numbers)
        if not np.isin(numbers, seen).all():
            raise UserError(
                f"The channels of {' and '.join(family.layers)} pass no activation to be scored "
                "by: choose another --strategy or --coupling, or ignore these layers "
                "(--layers_to_ignore)."
            )


def _units_of_wires(channels: Channels, wiring: Wiring) -> Numbers:
    """By wire: the number of its unit, in the order of families and their groups; -1 for none."""
    label = labels(wiring.flow)
    makers = np.bincount(np.concatenate([*wiring.producers.values()]), minlength=len(label))
    whole = np.full(wiring.flow.wires, -1)
    own = {layer: np.full(len(made), -1) for layer, made in wiring.producers.items()}
    first = 0
    for family in channels.families:
        numbers = first + np.arange(len(family.places))
        first += len(numbers)
        made = wiring.producers[family.layers[0]][family.rows[:, 0]]
        all_of_it = makers[made] == len(family.layers)
        whole[made[all_of_it]] = numbers[all_of_it]
        for at, layer in enumerate(family.layers):
            own[layer][family.rows[:, at]] = numbers
    together = whole[label]
    return np.where(together >= 0, together, _before_sums(wiring, own))


def _before_sums(wiring: Wiring, own: Mapping[str, Numbers]) -> Numbers:
    """By wire: the number of the layer's channel that it carries alone; -1 for none."""
    alone = np.full(wiring.flow.wires + 2, -1)  # zeros and constants find the last two
    for step in wiring.flow.steps:
        if step.kind == "mix":
            alone[step.outputs] = own[step.name]
        elif step.elementwise and len(step.sources) == 1:
            alone[step.outputs] = alone[step.sources[0]]
    return alone[:-2]
