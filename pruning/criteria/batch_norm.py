"""What the batch norm of a channel says of it: its scale, or what the loss would lose with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from foundations.errors import UserError
from pruning.criteria.loss import Loss
from pruning.criteria.passes import leaves, required
from pruning.granularities.channels import Channels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Examples, Key, ScoringData
    from pruning.granularity import Granularity
    from pruning.mask import Mask


@dataclass(frozen=True)
class BnScale:
    """|gamma| of the last norm that the channel passes (Liu et al. 2017, "Network Slimming").

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
        channels = _with_norms(granularity)
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
        channels = _with_norms(granularity)
        loss = Loss(
            network=network,
            weights=weights,
            variables=leaves(weights, channels.multiplied(mask)),
            batches=required(data, "bn_taylor").batches(self.examples),
            training=False,
            temperature=self.temperature,
            key=key,
        )

        def squares(x: Tensor, y: Tensor) -> dict[str, Tensor]:
            values = loss.scored
            return {n: (values[n] * slope).square() for n, slope in loss.gradient(x, y).items()}

        return channels.sums(loss.mean(squares), mask)


def _with_norms(granularity: Granularity) -> Channels:
    """Channels each of which ends in a norm of its own.

    Raises:
        UserError: One does not.
    """
    if not isinstance(granularity, Channels):
        raise TypeError(f"{type(granularity).__name__} has no channels.")
    for layer, each in granularity.multipliers.items():
        if len(granularity.shapes[f"{each.module}.weight"]) != 1:
            raise UserError(
                f"{layer} is followed by no batch norm that is its own, so that its channels have "
                "no gamma. Leave it out with --layers_to_ignore; where norms stand before the "
                "convolutions, --coupling=inner leaves out all such layers."
            )
    return granularity
