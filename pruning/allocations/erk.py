"""Small layers keep more: Erdős-Rényi-Kernel densities."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Self

from foundations.errors import UserError
from pruning.allocations import divided

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pruning.allocations import Room, Share
    from pruning.subject import Subject


@dataclass(frozen=True)
class Erk:
    """Densities in proportion to ``(in + out + height + width) / (in * out * height * width)``.

    "Rigging the Lottery: Making All Tickets Winners" (Evci et al. 2020), section 3: a layer whose
    density would be above 1 is kept whole, and the others share what is left. A linear layer has
    no height and width. Of kernels, channels or other units a layer keeps the density that its
    weights would.
    """

    densities: Mapping[str, Fraction]
    """By name of the weight; only what one is to another counts."""

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """From the shapes of the network's weights."""
        weights = dict(subject.network.named_parameters())
        shapes = {name: tuple(weights[name].shape) for name in subject.prunable}
        return cls({name: Fraction(sum(shape), prod(shape)) for name, shape in shapes.items()})

    def shares(self, layers: Mapping[str, Room], kept: int) -> list[Share]:
        """One share a layer.

        Raises:
            UserError: What is pruned are not the layers' own weights, but gates.
        """
        names = sorted(layers)
        for name in names:
            if name not in self.densities:
                raise UserError(
                    f"--allocation=erk goes by the shapes of weights, and {name!r} has none: "
                    "give another --allocation or --granularity."
                )
        sizes = {name: self.densities[name] * layers[name].total for name in names}
        return divided([(name,) for name in names], layers, kept, sizes)
