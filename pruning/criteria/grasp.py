"""GraSP: how much does the gradient's norm, and so the loss's fall, change when the weight goes?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.build import prunable
from pruning.criteria.loss import LossCriterion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from pruning.criteria.loss import Loss
    from pruning.criteria.passes import Scores
    from pruning.mask import Mask


@dataclass(frozen=True)
class Grasp(LossCriterion):
    """-w Hg of each batch, averaged over examples (Wang et al. 2020, eq. 8, and Algorithm 2).

    g is the gradient and H the Hessian of the loss of logits divided by the temperature, by all
    weights that can be pruned, those pruned already included (they are zero, and have gradients
    all the same), as Frankle et al. (2021) do. The network is in training mode.

    Signed, the method as published cuts the highest: ``prune_highest``.
    """

    training: bool = True
    temperature: float = 200.0
    absolute: bool = False
    """Take the absolute value of the average: what changes the gradient's norm least goes."""

    def variables(self, network: nn.Module, mask: Mask) -> Iterable[str]:  # noqa: ARG002 - the interface's
        """All weights that can be pruned, whatever is cut as one."""
        return prunable(network)

    def scores(self, loss: Loss) -> Scores:
        """See ``LossCriterion``."""
        weights = loss.scored

        def score(x: Tensor, y: Tensor) -> Scores:
            curved = loss.curvature(x, y)
            return {name: (curved[name] * weight).neg_() for name, weight in weights.items()}

        scores = loss.mean(score)
        return {name: values.abs_() for name, values in scores.items()} if self.absolute else scores
