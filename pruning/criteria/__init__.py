"""Which criteria there are: what gives each weight its score.

A criterion is one pure function. It owns its passes, modes and precision, and changes neither the
network nor the tensors it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from foundations.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from pruning.mask import Mask

Key = tuple[str | int, ...]
"""What random draws are keyed by: the seed and the round."""


class ScoringData(Protocol):
    """The data that a criterion may ask for."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one example."""

    def per_class(self, n: int) -> Sequence[tuple[Tensor, Tensor]]:
        """``n`` examples of each class in batches: (B, C, H, W) normalized, and int64 labels (B,).

        The same examples, in the same batches, whenever it is asked.
        """


class Criterion(Protocol):
    """How a criterion looks to whoever prunes by it."""

    def __call__(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """Scores of the names and shapes of the mask; whatever has the lowest goes.

        Args:
            network: Called functionally; its own tensors and its modes stay as they are.
            weights: All parameters and buffers by name, with the mask applied.
            mask: What is kept so far. The scores of what is cut have no meaning.
            data: Where examples come from; None will do for a criterion that needs none.
            key: What every random draw is keyed by.
        """


CRITERIA: Registry[Callable[..., Criterion]] = Registry(
    "criterion",
    {
        "random": "pruning.criteria.random:Random",
        "magnitude": "pruning.criteria.magnitude:Magnitude",
        "snip": "pruning.criteria.snip:Snip",
        "grasp": "pruning.criteria.grasp:Grasp",
        "synflow": "pruning.criteria.synflow:SynFlow",
    },
)
"""Criteria by name: what is called with a criterion's settings and gives a ``Criterion``."""
