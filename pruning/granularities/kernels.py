"""Kernels: the weights between one input and one output channel of a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from foundations.errors import UserError
from pruning.granularity import Granularity, of_kept
from pruning.mask import Mask
from pruning.reduction import reduction_of, signed_sum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from pruning.choices import Reduction
    from pruning.subject import Subject


@dataclass(frozen=True)
class Kernels(Granularity):
    """Each 2-d kernel is a unit, (outputs, inputs of a group, 1, 1); linear layers have none."""

    names: tuple[str, ...]
    """The weights of the convolutions."""
    reduction: Reduction

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """Of all convolutions.

        Raises:
            UserError: There is none.
        """
        weights = {name: subject.network.get_parameter(name) for name in subject.prunable}
        names = tuple(name for name, weight in weights.items() if weight.dim() == 4)
        if not names:
            raise UserError("--granularity=kernels: this network has no convolutions.")
        return cls(names, reduction_of(subject))

    def units(self, mask: Mask) -> Mask:
        """Kernels with any weight."""
        return Mask({n: mask[n].flatten(2).any(2)[:, :, None, None] for n in self.names})

    def scored(self, mask: Mask) -> list[str]:  # noqa: ARG002 - the interface's
        """The weights of the convolutions."""
        return list(self.names)

    def scores(self, scores: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
        """Reduced over height and width."""
        return self._reduced(self.reduction, scores, mask)

    def mask(self, units: Mask, mask: Mask) -> Mask:
        """Cut kernels lose all their weights."""
        return Mask({**mask, **{name: mask[name] & units[name] for name in self.names}})

    def sums(self, products: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
        """Summed over height and width."""
        return self._reduced(signed_sum, products, mask)

    def _reduced(
        self, reduction: Reduction, values: Mapping[str, Tensor], mask: Mask
    ) -> dict[str, Tensor]:
        kept = of_kept(values, mask, self.names)
        return {name: reduction(kept[name], (2, 3))[:, :, None, None] for name in self.names}
