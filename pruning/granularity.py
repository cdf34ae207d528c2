"""What is kept or cut as one: here, single weights.

A granularity sees a mask as a mask of its units, and scores of weights as scores of units. What
lies between (schedule, allocation, selection) counts and compares units only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from pruning.mask import Mask
    from pruning.subject import Subject


class Granularity(Protocol):
    """How a granularity looks to whoever prunes by it."""

    def units(self, mask: Mask) -> Mask:
        """Which units the mask keeps."""

    def scored(self, mask: Mask) -> list[str]:
        """The names of the weights whose scores the units' are made of."""

    def scores(self, scores: Mapping[str, Tensor], mask: Mask) -> Mapping[str, Tensor]:
        """The scores of the units, of the names and shapes of ``units(mask)``."""

    def mask(self, units: Mask, mask: Mask) -> Mask:
        """The mask that keeps, of what ``mask`` keeps, only what belongs to kept units."""


@dataclass(frozen=True)
class Weights:
    """Every weight is a unit of its own."""

    @classmethod
    def of(cls, subject: Subject) -> Self:  # noqa: ARG003 - the interface's
        """It has no settings."""
        return cls()

    def units(self, mask: Mask) -> Mask:
        """The mask itself."""
        return mask

    def scored(self, mask: Mask) -> list[str]:
        """All of them."""
        return list(mask)

    def scores(self, scores: Mapping[str, Tensor], mask: Mask) -> Mapping[str, Tensor]:  # noqa: ARG002 - the interface's
        """The scores themselves."""
        return scores

    def mask(self, units: Mask, mask: Mask) -> Mask:  # noqa: ARG002 - the interface's
        """The units themselves."""
        return units
