"""Blocks: rectangles of a layer's matrix, which sparse kernels on devices can skip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch

from pruning.granularity import Granularity, of_kept
from pruning.mask import Mask
from pruning.reduction import reduction_of, signed_sum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from pruning.choices import Reduction
    from pruning.subject import Subject


@dataclass(frozen=True)
class Blocks(Granularity):
    """Rectangles of the matrix (outputs, inputs * height * width) of every prunable weight.

    They are laid from the first row and column on; those at the far borders may be smaller.
    """

    rows: int
    columns: int
    reduction: Reduction

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """Of the shape that is asked for."""
        rows, columns = subject.hparams.block_shape
        return cls(rows, columns, reduction_of(subject))

    def units(self, mask: Mask) -> Mask:
        """Blocks with any weight."""
        return Mask(
            {name: self._reduced(_any, kept.flatten(1)) for name, kept in mask.weights.items()}
        )

    def scored(self, mask: Mask) -> list[str]:
        """All weights."""
        return list(mask.weights)

    def scores(self, scores: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
        """Reduced over the weights that the block has: at borders, fewer."""
        kept = of_kept(scores, mask, mask.weights)
        return {name: self._reduced(self.reduction, each.flatten(1)) for name, each in kept.items()}

    def mask(self, units: Mask, mask: Mask) -> Mask:
        """Cut blocks lose all their weights."""
        spread = {name: self._spread(units[name], mask[name]) for name in units}
        return Mask({**mask, **{name: mask[name] & spread[name] for name in units}})

    def sums(self, products: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
        """Summed over the block."""
        kept = of_kept(products, mask, mask.weights)
        return {name: self._reduced(signed_sum, each.flatten(1)) for name, each in kept.items()}

    def _reduced(self, reduction: Reduction, matrix: Tensor) -> Tensor:
        """One value a block; the two kinds of border and the corner are done apart."""
        height, width = (
            size - size % of for size, of in zip(matrix.shape, self._shape, strict=True)
        )
        bands = [
            torch.cat([_tiled(reduction, part, self._shape) for part in parts], 1)
            for band in (matrix[:height], matrix[height:])
            if (parts := [part for part in (band[:, :width], band[:, width:]) if part.numel()])
        ]
        return torch.cat(bands, 0)

    def _spread(self, units: Tensor, weight: Tensor) -> Tensor:
        """What each weight's block has, in the shape of the weight."""
        tall = units.repeat_interleave(self.rows, 0)[: len(weight)]
        wide = tall.repeat_interleave(self.columns, 1)[:, : weight[0].numel()]
        return wide.reshape(weight.shape)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.rows, self.columns


def _tiled(reduction: Reduction, part: Tensor, shape: tuple[int, int]) -> Tensor:
    """A part that whole blocks cover, or that is smaller than a block."""
    rows, columns = (min(size, of) for size, of in zip(part.shape, shape, strict=True))
    tiles = part.reshape(part.shape[0] // rows, rows, part.shape[1] // columns, columns)
    return reduction(tiles, (1, 3))


def _any(kept: Tensor, dims: tuple[int, ...]) -> Tensor:
    return kept.any(dims)
