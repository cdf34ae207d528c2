"""What the batch norm of a channel says of it: its scale, or what the loss would lose with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import torch

from foundations.errors import UserError
from pruning.criteria.loss import Loss
from pruning.criteria.passes import leaves, required
from pruning.granularities.channels import Channels
from pruning.granularities.multipliers import Multiplied, multipliers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Examples, Key, ScoringData
    from pruning.granularity import Granularity
    from pruning.mask import Mask


@dataclass(frozen=True)
class BnScale:
    """|gamma| of the first norm that the channel passes (Liu et al. 2017, "Network Slimming").

    Of channels that are cut together, the mean.
    """

    serves: ClassVar[frozenset[str]] = frozenset({"channels"})

    def units(
        self,
        network: nn.Module,  # noqa: ARG002 - the interface's
        weights: Mapping[str, Tensor],
        mask: Mask,  # noqa: ARG002 - the interface's
        granularity: Granularity,
        data: ScoringData | None,  # noqa: ARG002 - the interface's
        key: Key,  # noqa: ARG002 - the interface's
    ) -> dict[str, Tensor]:
        """See ``UnitCriterion``."""
        channels = with_norms(granularity)
        scales = {}
        for layer, each in channels.multipliers.items():
            scale = weights[f"{each.module}.weight"].detach().abs()
            products = {name: torch.zeros_like(scale) for name in each.rows}
            scales[layer] = each.sums(products | {f"{each.module}.weight": scale})
        return channels.means(scales)


@dataclass(frozen=True)
class BnTaylor:
    """gamma^2 G_gamma + beta^2 G_beta (Molchanov et al. 2019), in evaluation mode.

    G is the squared gradient of each batch's mean loss, averaged with the batches' sizes as
    weights, as Lubana and Dick (2021) take it. Of channels that are cut together, the sum.
    """

    serves: ClassVar[frozenset[str]] = frozenset({"channels"})

    examples: Examples
    """What it is scored on."""
    temperature: float = 1.0
    """What logits are divided by."""

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
        channels = with_norms(granularity)
        loss = Loss(
            network=network,
            weights=weights,
            variables=leaves(weights, channels.multiplied(mask)),
            batches=required(data, "bn_taylor").batches(self.examples),
            training=False,
            temperature=self.temperature,
            key=key,
        )
        return self.scores(loss, channels, mask)

    def scores(self, loss: Loss, granularity: Granularity, mask: Mask) -> dict[str, Tensor]:
        """By the name of units, of the loss as a function of scales and shifts."""

        def squares(x: Tensor, y: Tensor) -> dict[str, Tensor]:
            values = loss.scored
            return {n: (values[n] * slope).square() for n, slope in loss.gradient(x, y).items()}

        return dict(granularity.sums(loss.mean(squares), mask))


class OwnNorms(Channels):
    """Channels whose multipliers stand before their own norm, of those behind it none.

    That is the norm of a convolution, not that of a depthwise convolution that follows it.
    """

    @cached_property
    def multipliers(self) -> dict[str, Multiplied]:
        """For each layer, the scale and shift of its channels."""
        return multipliers(self.wiring, self.layers, self.shapes, first_norm=True)


def with_norms(granularity: Granularity) -> OwnNorms:
    """Channels each of which has a norm of its own.

    Raises:
        UserError: One has not.
    """
    if not isinstance(granularity, Channels):
        raise TypeError(f"{type(granularity).__name__} has no channels.")
    channels = OwnNorms(
        granularity.families, granularity.wiring, granularity.shapes, granularity.reduction
    )
    for layer, each in channels.multipliers.items():
        if len(channels.shapes[f"{each.module}.weight"]) != 1:
            raise UserError(
                f"{layer} is followed by no batch norm that is its own, so that its channels have "
                "no gamma. Leave it out with --layers_to_ignore; where norms stand before the "
                "convolutions, --coupling=inner leaves out all such layers."
            )
    return channels
