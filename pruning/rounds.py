"""What each round of pruning cuts, whether rounds follow at once or with training between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.gates import gate_tensors
from pruning.criteria import UnitCriterion
from pruning.mask import Mask
from pruning.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from torch import Tensor, nn

    from pruning.criteria import ScoringData
    from pruning.cutting import Cutting
    from pruning.goal import Goal
    from pruning.method import Method


@dataclass(frozen=True, eq=False)
class Rounds:
    """Rounds of pruning, each a pure function of weights and mask."""

    method: Method
    network: nn.Module
    """With the gates that may be cut; its own tensors mean nothing."""
    cutting: Cutting
    """As the method has it for the units that were kept before the first round."""
    kept: tuple[int, ...]
    """How many of the units that may be cut are kept after each round."""

    def cut(
        self,
        position: int,
        weights: Mapping[str, Tensor],
        mask: Mask,
        *,
        data: ScoringData | None,
        seed: int,
        scores: Mapping[str, Tensor] | None = None,
    ) -> Mask:
        """The mask after a round, within the one before.

        A round that cuts nothing (rounding, or a fraction of 0) does not score.

        Args:
            position: Of the round, from 0.
            weights: All parameters and buffers by name.
            mask: What is kept before it, on the device of the weights.
            data: What is scored on.
            seed: What random draws are keyed by, with the position.
            scores: Of the units, where they were found while training; else they are found here.
        """
        method = self.method
        units = method.eligible(mask)
        target = method.selection.target(units.kept, units.total, self.kept[position])
        if target >= units.kept:
            return mask
        everything = method.granularity.units(mask)
        if scores is None:
            gates = gate_tensors({**mask, **everything}, _dtype(weights))
            masked = mask.apply(weights) | gates
            scores = self._scores(masked, mask, data, (seed, position))
        compared = method.granularity.compared(scores, mask)
        fewer = self.cutting.cut(compared, units, target)
        return method.granularity.mask(Mask({**everything, **fewer}), mask)

    def _scores(
        self,
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,
        key: tuple[int, int],
    ) -> Mapping[str, Tensor]:
        """The scores of the units."""
        granularity, criterion = self.method.granularity, self.method.criterion
        if isinstance(criterion, UnitCriterion):
            return criterion.units(self.network, weights, mask, granularity, data, key)
        scored = Mask({name: mask[name] for name in granularity.scored(mask)})
        single = criterion(self.network, weights, scored, data, key)
        return granularity.scores(single, mask)


def _dtype(weights: Mapping[str, Tensor]) -> torch.dtype:
    """That of the numbers among them."""
    return next(value.dtype for value in weights.values() if value.is_floating_point())


def rounds(
    method: Method,
    network: nn.Module,
    weights: Mapping[str, Tensor],
    mask: Mask,
    goal: Goal,
    *,
    data: ScoringData | None,
    seed: int,
) -> Iterator[Mask]:
    """The mask after each round, each within the one before, on the same weights."""
    data = None if data is None else Remembered(data)
    cutting = method.cutting(method.eligible(mask))
    plan = Rounds(method, network, cutting, method.schedule.kept(goal))
    for position in range(len(plan.kept)):
        mask = plan.cut(position, weights, mask, data=data, seed=seed)
        yield mask
