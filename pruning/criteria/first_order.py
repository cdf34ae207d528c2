"""w g: how does the loss of all scored examples together change with the weight, to first order?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pruning.criteria.loss import LossCriterion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from pruning.criteria.loss import Loss
    from pruning.criteria.passes import Scores


@dataclass(frozen=True)
class WeightedFirstOrder(LossCriterion):
    """|w^2 g|, of the gradient g of the loss of all scored examples together.

    The magnitude-biased loss of "A Gradient Flow Framework for Analyzing Network Pruning" (Lubana
    and Dick 2021).
    """

    def scores(self, loss: Loss) -> Scores:
        """See ``LossCriterion``."""
        slopes = loss.mean(loss.gradient)
        return {n: slopes[n].mul_(w.square()).abs_() for n, w in loss.scored.items()}


@dataclass(frozen=True)
class FirstOrder(LossCriterion):
    """|w g|, or w g with its sign.

    The loss-based measure of the same paper (its "tfo", if signs are kept until the scores of a
    unit are summed). With ``initial``, times |w - w0|, the weight's distance from there: what the
    original makes of its biased loss for weights that come trained.
    """

    signed: bool = False
    initial: Mapping[str, Tensor] | None = field(default=None, repr=False, compare=False)
    """The weights from which distances are measured, of the names and shapes of those scored."""

    def scores(self, loss: Loss) -> Scores:
        """See ``LossCriterion``."""
        slopes = loss.mean(loss.gradient)
        scores = {name: slopes[name].mul_(weight) for name, weight in loss.scored.items()}
        if not self.signed:
            scores = {name: values.abs_() for name, values in scores.items()}
        if self.initial is None:
            return scores
        return {
            name: values.mul_((weight - self.initial[name].to(weight)).abs_())
            for (name, values), weight in zip(scores.items(), loss.scored.values(), strict=True)
        }
