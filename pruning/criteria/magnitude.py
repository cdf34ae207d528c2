"""Magnitude: how large is the weight?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Key, ScoringData
    from pruning.mask import Mask


@dataclass(frozen=True)
class Magnitude:
    """The absolute value of each weight (Han et al. 2015)."""

    signed: bool = False
    """Keep its sign, for a sum of weights with their signs."""

    def __call__(
        self,
        network: nn.Module,  # noqa: ARG002 - the interface's
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,  # noqa: ARG002 - the interface's
        key: Key,  # noqa: ARG002 - the interface's
    ) -> dict[str, Tensor]:
        """See ``Criterion``."""
        values = {name: weights[name].detach() for name in mask}
        return values if self.signed else {name: value.abs() for name, value in values.items()}
