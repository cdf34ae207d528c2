"""All layers compete: one threshold for the whole network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pruning.allocations import Share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pruning.allocations import Room
    from pruning.subject import Subject


@dataclass(frozen=True)
class Global:
    """One share of all layers."""

    @classmethod
    def of(cls, subject: Subject) -> Self:  # noqa: ARG003 - the interface's
        """It has no settings."""
        return cls()

    def shares(self, layers: Mapping[str, Room], kept: int) -> list[Share]:
        """All that is kept."""
        return [Share(tuple(sorted(layers)), kept)]
