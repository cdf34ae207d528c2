"""Fisher information: how much does the loss change, to second order, when the weight goes?"""

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
class Fisher(LossCriterion):
    """w^2 G, where G is the mean of squared gradients.

    The gradients are those of the mean loss of batches, squared and averaged with the batches'
    sizes as weights, as in "A Gradient Flow Framework for Analyzing Network Pruning" (Lubana and
    Dick 2021); or ``per_example``, which is the diagonal of the empirical Fisher information.
    """

    per_example: bool = False

    def scores(self, loss: Loss) -> Scores:
        """See ``LossCriterion``."""

        def squares(x: Tensor, y: Tensor) -> Scores:
            return {name: slope.square() for name, slope in loss.gradient(x, y).items()}

        by_example = partial(mean_over_examples, loss, torch.square)
        information = loss.mean(by_example if self.per_example else squares)
        return {name: information[name].mul_(w.square()) for name, w in loss.scored.items()}
