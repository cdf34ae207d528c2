"""What is kept or cut as one: the interface, and single weights.

A granularity sees a mask as a mask of its units, and scores of weights as scores of units. What
lies between (schedule, allocation, selection) counts and compares units only. The others are in
``pruning.granularities``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import torch

from pruning.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from pruning.subject import Subject


class Granularity(Protocol):
    """How a granularity looks to whoever prunes by it; one that subclasses it has the last four."""

    def units(self, mask: Mask) -> Mask:
        """Which units the mask keeps: those of which it keeps any weight.

        By the name of the layer's weight, or of the first of the layers that are cut together.
        """

    def scored(self, mask: Mask) -> list[str]:
        """The names of the weights whose scores the units' are made of."""

    def scores(self, scores: Mapping[str, Tensor], mask: Mask) -> Mapping[str, Tensor]:
        """The scores of the units, of the names and shapes of ``units(mask)``.

        Weights that are cut count as zero.
        """

    def mask(self, units: Mask, mask: Mask) -> Mask:
        """The mask that keeps, of what ``mask`` keeps, only what belongs to kept units."""

    def multiplied(self, mask: Mask) -> list[str]:
        """The names of the tensors that the multipliers of the units stand before.

        Where each unit had a multiplier of one, its derivative would say what the unit is worth.
        """
        return self.scored(mask)

    def sums(self, products: Mapping[str, Tensor], mask: Mask) -> Mapping[str, Tensor]:
        """The derivatives by the multipliers of the units.

        Args:
            products: Of ``multiplied(mask)``, each entry times the derivative by it.
            mask: What is kept so far.
        """
        return self.scores(products, mask)

    def compared(self, scores: Mapping[str, Tensor], mask: Mask) -> Mapping[str, Tensor]:  # noqa: ARG002 - the interface's
        """The scores by which units are cut, where some compete with their neighbours only."""
        return scores

    def goal(self, units: Mask) -> int | None:  # noqa: ARG002 - the interface's
        """How many of the units are kept in the end, where the granularity itself says it."""
        return None


@dataclass(frozen=True)
class Weights(Granularity):
    """Every weight is a unit of its own."""

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """It has no settings.

        Raises:
            UserError: A reduction is asked for.
        """
        refuse_reduction(subject)
        return cls()

    def units(self, mask: Mask) -> Mask:
        """The weights of the mask; biases, norms and gates are none."""
        return mask.weights

    def scored(self, mask: Mask) -> list[str]:
        """All of them."""
        return list(mask.weights)

    def scores(self, scores: Mapping[str, Tensor], mask: Mask) -> Mapping[str, Tensor]:  # noqa: ARG002 - the interface's
        """The scores themselves."""
        return scores

    def mask(self, units: Mask, mask: Mask) -> Mask:
        """The units themselves, and what else the mask has."""
        return units if units.keys() == mask.keys() else Mask({**mask, **units})


def refuse_reduction(subject: Subject) -> None:
    """Refuse a reduction where a unit is a single weight.

    Raises:
        UserError: There is one.
    """
    from foundations.errors import UserError

    if subject.hparams.reduction is not None:
        raise UserError(
            f"--granularity={subject.hparams.granularity} scores single weights: there is nothing "
            "to reduce. Leave out --reduction."
        )


def of_kept(scores: Mapping[str, Tensor], mask: Mask, names: Iterable[str]) -> dict[str, Tensor]:
    """The scores of these weights, zero where they are cut: there they may be anything."""
    return {
        name: torch.where(mask[name], scores[name], torch.zeros_like(scores[name]))
        for name in names
    }
