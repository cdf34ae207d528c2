"""SNIP: how much does the loss change, to first order, when the weight goes?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from pruning.criteria.loss import LossCriterion
from pruning.criteria.per_example import mean_over_examples

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.criteria.loss import Loss
    from pruning.criteria.passes import Scores


@dataclass(frozen=True)
class Snip(LossCriterion):
    """|w dL/dw| of each batch, averaged over examples (Lee et al. 2019, eq. 4 and 6).

    The network is in training mode, so batch norm takes the batch's statistics. The absolute value
    is taken batch by batch, as Frankle et al. (2021) do; or ``per_example``.
    """

    training: bool = True
    per_example: bool = False
    """Take the absolute value for each example by itself."""

    def scores(self, loss: Loss) -> Scores:
        """See ``LossCriterion``."""
        weights = loss.scored
        if self.per_example:
            slopes = loss.mean(partial(mean_over_examples, loss, torch.abs))
            return {name: slopes[name].mul_(weight.abs()) for name, weight in weights.items()}

        def score(x: Tensor, y: Tensor) -> Scores:
            slopes = loss.gradient(x, y)
            return {name: (slopes[name] * weight).abs_() for name, weight in weights.items()}

        return loss.mean(score)
