"""SNIP: how much does the loss change, to first order, when the weight goes?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
class Snip:
    """|w dL/dw| of each batch, averaged over examples (Lee et al. 2019, eq. 4 and 6).

    The network is in training mode, so batch norm takes the batch's statistics. The absolute value
    is taken batch by batch, as Frankle et al. (2021) do.
    """

    examples: Examples
    """What it is scored on."""

    def __call__(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``Criterion``."""
        batches = required(data, "snip").batches(self.examples)
        variables, device = leaves(weights, mask), device_of(weights)

        def score(x: Tensor, y: Tensor) -> dict[str, Tensor]:
            loss = cross_entropy(outputs(network, weights, variables, x), y)
            slopes = gradients(loss, variables)
            return {name: (weights[name].detach() * slopes[name]).abs() for name in mask}

        with running(network, device, training=True, key=key):
            return mean_over_batches(score, batches, device)
