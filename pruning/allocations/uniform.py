"""Every layer keeps the same fraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pruning.allocations import divided

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pruning.allocations import Room, Share
    from pruning.subject import Subject


@dataclass(frozen=True)
class Uniform:
    """The same density in each layer, of all it has; one that has less left keeps all of it."""

    @classmethod
    def of(cls, subject: Subject) -> Self:  # noqa: ARG003 - the interface's
        """It has no settings."""
        return cls()

    def shares(self, layers: Mapping[str, Room], kept: int) -> list[Share]:
        """One share a layer, in proportion to what it has."""
        names = sorted(layers)
        sizes = {name: layers[name].total for name in names}
        return divided([(name,) for name in names], layers, kept, sizes)
