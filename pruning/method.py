"""A way of pruning: the choices that hyperparameters name, made for one network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from foundations.errors import unknown
from pruning.allocations.together import Global
from pruning.choices import ALLOCATIONS, GRANULARITIES, SCHEDULES, SELECTIONS
from pruning.cutting import Cutting, Minimum, settled
from pruning.granularity import Weights
from pruning.layers import begins
from pruning.mask import Mask
from pruning.schedule import Geometric
from pruning.scored import scored_by
from pruning.selection import Exact

if TYPE_CHECKING:
    from pruning.allocations import Allocation, Counting
    from pruning.criteria import Criterion, UnitCriterion
    from pruning.granularity import Granularity
    from pruning.schedule import Schedule
    from pruning.selection import Selection
    from pruning.subject import Subject


@dataclass(frozen=True)
class Method:
    """A way of pruning: schedule x allocation x granularity x reduction x criterion."""

    criterion: Criterion | UnitCriterion
    granularity: Granularity = field(default_factory=Weights)
    allocation: Allocation | Counting = field(default_factory=Global)
    schedule: Schedule = field(default_factory=Geometric)
    selection: Selection = field(default_factory=Exact)
    highest: bool = False
    """Cut the highest scores instead of the lowest."""
    ignored: tuple[str, ...] = ()
    """The beginnings of the names of layers that are not pruned."""
    minimum: Minimum = field(default_factory=Minimum)

    def eligible(self, mask: Mask) -> Mask:
        """The units that may be cut, and which of them the mask keeps: of layers not ignored."""
        units = self.granularity.units(mask)
        kept = {n: units[n] for n in units if not any(begins(n, layer) for layer in self.ignored)}
        return Mask(kept)

    def cutting(self, units: Mask) -> Cutting:
        """How units are chosen, from these on.

        Raises:
            UserError: The allocation asks for more than a layer has left.
        """
        allocation = settled(self.allocation, self.minimum.rooms(units))
        return Cutting(allocation, self.selection, self.minimum, self.highest)


def method_of(subject: Subject) -> Method:
    """The choices that the hyperparameters name, made for this network.

    Raises:
        UserError: They do not go together, or do not fit the network.
    """
    hparams = subject.hparams
    for layer in hparams.layers_to_ignore:
        if not any(begins(name, layer) for name in subject.prunable):
            raise unknown("layer to ignore", layer, subject.prunable)
    return Method(
        criterion=scored_by(subject),
        granularity=GRANULARITIES[hparams.granularity].of(subject),
        allocation=ALLOCATIONS[hparams.allocation].of(subject),
        schedule=SCHEDULES[hparams.schedule].of(subject),
        selection=SELECTIONS[hparams.selection].of(subject),
        highest=hparams.prune_highest,
        ignored=hparams.layers_to_ignore,
        minimum=Minimum(hparams.minimum_kept, hparams.minimum_fraction),
    )
