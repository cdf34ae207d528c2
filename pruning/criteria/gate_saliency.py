"""Gate saliency: how much does an example's loss change when the unit is scaled?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.func import vmap

from pruning.choices import GRANULARITIES
from pruning.criteria.loss import Loss
from pruning.criteria.passes import device_of, leaves, required, running
from pruning.criteria.per_example import gradients_apart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

    from pruning.criteria import Examples, Key, ScoringData
    from pruning.granularity import Granularity
    from pruning.mask import Mask


@dataclass(frozen=True)
class GateSaliency:
    """The sum over examples of |dL/dc|, for a multiplier c of one before each unit.

    The SNIP of "Fine Granularity is Critical for Intelligent Neural Network Pruning", in evaluation
    mode. Where the multiplier stands is the granularity's to say: before a weight, all weights of a
    kernel or block, a channel's scale and shift (``granularities.multipliers``), a node's weights
    and bias, or, for ``gates``, an activation.
    """

    examples: Examples
    """What it is scored on."""
    cumulative: bool = False
    """Sum the absolute values of what the examples so far add up to, each time one is added: what
    the original code does, whose gradients are not set back to zero between examples. The result
    depends on their order."""

    @property
    def serves(self) -> frozenset[str]:
        """Every granularity."""
        return frozenset(GRANULARITIES)

    def units(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        granularity: Granularity,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``UnitCriterion``."""
        loss = Loss(
            network=network,
            weights=weights,
            variables=leaves(weights, granularity.multiplied(mask)),
            batches=required(data, "gate_saliency").batches(self.examples),
            training=False,
            temperature=1.0,
            key=key,
        )
        sums: dict[str, Tensor] = {}
        before: dict[str, Tensor] = {}
        with running(network, device_of(weights), training=False, key=key):
            for slopes in _of_examples(loss, granularity, mask):
                for name, slope in slopes.items():
                    added = slope
                    if self.cumulative:
                        added = slope.cumsum(0) + before.get(name, torch.zeros_like(slope[0]))
                        before[name] = added[-1]
                    sums[name] = sums.get(name, torch.zeros_like(slope[0])) + added.abs().sum(0)
        return sums


def _of_examples(loss: Loss, granularity: Granularity, mask: Mask) -> Iterator[dict[str, Tensor]]:
    """The derivatives by the multipliers of the units, (examples, ...), some examples at a time."""
    values = loss.scored
    device = device_of(values)

    def of_one(slopes: dict[str, Tensor]) -> dict[str, Tensor]:
        products = {name: values[name] * slope for name, slope in slopes.items()}
        return dict(granularity.sums(products, mask))

    for x, y in loss.batches:
        for slopes in gradients_apart(loss, x.to(device), y.to(device)):
            yield vmap(of_one)({name: slope.detach() for name, slope in slopes.items()})
