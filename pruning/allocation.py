"""How many of each layer are kept: here, of all layers together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pruning.mask import LayerCount
    from pruning.subject import Subject


class Share(NamedTuple):
    """Layers that compete with one another, and how many they keep between them."""

    names: tuple[str, ...]
    kept: int


class Allocation(Protocol):
    """How an allocation looks to whoever prunes by it."""

    def shares(self, layers: Mapping[str, LayerCount], kept: int) -> list[Share]:
        """Divide what is kept in all among groups of layers.

        Args:
            layers: What each layer has, and keeps so far.
            kept: How many are to be kept in all; the shares add up to it, and none is more than
                its layers keep so far.
        """


@dataclass(frozen=True)
class Global:
    """All layers compete: one threshold for the whole network."""

    @classmethod
    def of(cls, subject: Subject) -> Self:  # noqa: ARG003 - the interface's
        """It has no settings."""
        return cls()

    def shares(self, layers: Mapping[str, LayerCount], kept: int) -> list[Share]:
        """One share of all layers."""
        return [Share(tuple(sorted(layers)), kept)]
