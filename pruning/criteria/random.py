"""Random: no question asked, the baseline of every other criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from foundations.draws import generator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Key, ScoringData
    from pruning.mask import Mask


@dataclass(frozen=True)
class Random:
    """A uniform draw for each weight, anew in each round; drawn on the CPU for every device."""

    def __call__(
        self,
        network: nn.Module,  # noqa: ARG002 - the interface's
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,  # noqa: ARG002 - the interface's
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``Criterion``."""
        return {
            name: torch.rand(
                weights[name].shape, generator=generator(*key, "random scores", name)
            ).to(weights[name].device)
            for name in mask
        }
