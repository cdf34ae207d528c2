"""Random: no question asked, the baseline of every other criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from foundations.draws import generator
from pruning.choices import GRANULARITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Key, ScoringData
    from pruning.granularity import Granularity
    from pruning.mask import Mask


@dataclass(frozen=True)
class Random:
    """A uniform draw for each unit, anew in each round; drawn on the CPU for every device."""

    def __call__(
        self,
        network: nn.Module,  # noqa: ARG002 - the interface's
        weights: Mapping[str, Tensor],  # noqa: ARG002 - the interface's
        mask: Mask,
        data: ScoringData | None,  # noqa: ARG002 - the interface's
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``Criterion``."""
        return _drawn(mask, key)

    @property
    def serves(self) -> frozenset[str]:
        """Every granularity."""
        return frozenset(GRANULARITIES)

    def units(
        self,
        network: nn.Module,  # noqa: ARG002 - the interface's
        weights: Mapping[str, Tensor],  # noqa: ARG002 - the interface's
        mask: Mask,
        granularity: Granularity,
        data: ScoringData | None,  # noqa: ARG002 - the interface's
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``UnitCriterion``."""
        return _drawn(granularity.units(mask), key)


def _drawn(units: Mask, key: Key) -> dict[str, Tensor]:
    """A draw for each entry."""
    return {
        name: torch.rand(kept.shape, generator=generator(*key, "random scores", name)).to(
            kept.device
        )
        for name, kept in units.items()
    }
