"""Data that is asked for the same examples in each round, and loads them once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pruning.criteria import Examples, ScoringData


@dataclass(frozen=True)
class Remembered:
    """Data whose batches are kept once they were loaded."""

    data: ScoringData
    loaded: dict[Examples, Sequence[tuple[Tensor, Tensor]]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one example."""
        return self.data.shape

    def batches(self, examples: Examples) -> Sequence[tuple[Tensor, Tensor]]:
        """See ``ScoringData``."""
        if examples not in self.loaded:
            self.loaded[examples] = self.data.batches(examples)
        return self.loaded[examples]
