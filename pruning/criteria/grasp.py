"""GraSP: how much does the gradient's norm, and so the loss's fall, change when the weight goes?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from pruning.criteria.passes import (
    device_of,
    gradients,
    leaves,
    mean_over_batches,
    outputs,
    required,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Examples, Key, ScoringData
    from pruning.mask import Mask


@dataclass(frozen=True)
class Grasp:
    """-w Hg of each batch, averaged over examples (Wang et al. 2020, eq. 8, and Algorithm 2).

    g is the gradient and H the Hessian of the loss of logits divided by the temperature, by all
    weights that can be pruned, those pruned already included (they are zero, and have gradients
    all the same), as Frankle et al. (2021) do. The network is in training mode.

    Signed, the method as published cuts the highest: ``prune_highest``.
    """

    examples: Examples
    """What it is scored on."""
    absolute: bool = False
    """Take the absolute value of the average: what changes the gradient's norm least goes."""
    temperature: float = 200.0

    def __call__(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``Criterion``."""
        batches = required(data, "grasp").batches(self.examples)
        variables, device = leaves(weights, mask), device_of(weights)

        def score(x: Tensor, y: Tensor) -> dict[str, Tensor]:
            logits = outputs(network, weights, variables, x) / self.temperature
            slopes = gradients(cross_entropy(logits, y), variables, again=True)
            # The derivative of <g, g> with the first g held fixed is Hg.
            dots = [(slope.detach() * slope).sum() for slope in slopes.values()]
            curved = gradients(torch.stack(dots).sum(), variables)
            return {name: -weights[name].detach() * curved[name] for name in mask}

        with running(network, device, training=True, key=key):
            scores = mean_over_batches(score, batches, device)
        return {name: values.abs() for name, values in scores.items()} if self.absolute else scores
