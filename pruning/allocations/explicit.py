"""The fraction that is cut of each layer is stated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from foundations.errors import UserError
from pruning.counts import kept_of
from pruning.layers import named_by, parse_fractions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pruning.allocations import Room
    from pruning.subject import Subject


@dataclass(frozen=True)
class Explicit:
    """Fractions by the beginnings of names, of which the longest counts; others keep all."""

    fractions: Mapping[str, float]
    convention: str = "remaining"
    """What they are fractions of: see ``prune_fraction_of``."""

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """Those of ``layer_fractions``."""
        hparams = subject.hparams
        return cls(parse_fractions(hparams.layer_fractions or ""), hparams.prune_fraction_of)

    def counts(self, layers: Mapping[str, Room]) -> dict[str, int]:
        """What the fractions leave of each layer, to the nearest whole number.

        Raises:
            UserError: A beginning is that of no layer, or a layer has not so many left.
        """
        beginning_of = named_by(layers, self.fractions, "layer_fractions")
        return {
            name: self._count(name, beginning_of[name], room) if name in beginning_of else room.kept
            for name, room in layers.items()
        }

    def _count(self, name: str, beginning: str, room: Room) -> int:
        fraction = self.fractions[beginning]
        count = kept_of(fraction, self.convention, kept=room.kept, total=room.total)
        if count > room.kept:
            raise UserError(
                f"layer_fractions: {beginning}={fraction} (of {self.convention}) keeps {count:,} "
                f"of {room.total:,} in {name}, but only {room.kept:,} are left."
            )
        return count
