"""w Hg: how much does the norm of the gradient of all scored examples change with the weight?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pruning.criteria.loss import LossCriterion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from pruning.criteria.loss import Loss
    from pruning.criteria.passes import Scores
    from pruning.mask import Mask


@dataclass(frozen=True)
class HessianGradient(LossCriterion):
    """w Hg, of the gradient g and the Hessian H of the loss of all scored examples together.

    "A Gradient Flow Framework for Analyzing Network Pruning" (Lubana and Dick 2021): lowest first,
    GraSP; absolute, what preserves the gradient. Examples weigh the same, in whatever batches; in
    the original so do classes, of which it takes equally many examples. GraSP as in ``Grasp`` has
    an H and a g to each batch, and the other sign; and here both are by all parameters of the
    network, biases and norms too, as in the original.
    """

    absolute: bool = False

    def variables(self, network: nn.Module, mask: Mask) -> Iterable[str]:  # noqa: ARG002 - the interface's
        """All parameters."""
        return (name for name, _ in network.named_parameters())

    def scores(self, loss: Loss) -> Scores:
        """See ``LossCriterion``."""
        # The gradient of one batch is the whole gradient: then there is no need of a second pass.
        alone = len(loss.batches) == 1
        along = None if alone else loss.mean(loss.gradient)
        curved = loss.mean(partial(loss.curvature, along=along))
        scores = {name: curved[name].mul_(weight) for name, weight in loss.scored.items()}
        return {name: values.abs_() for name, values in scores.items()} if self.absolute else scores
