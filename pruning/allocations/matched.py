"""Every layer keeps as many as in another run's mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from foundations.errors import UserError
from pruning.choices import GRANULARITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pruning.allocations import Room
    from pruning.mask import LayerCount
    from pruning.subject import Subject


@dataclass(frozen=True)
class Matched:
    """The counts of a mask, in what is kept or cut as one here."""

    layers: Mapping[str, LayerCount]

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """Those of ``subject.matched``.

        Raises:
            UserError: There is no mask to match.
        """
        if subject.matched is None:
            raise UserError("--allocation=matched needs a run whose mask is matched: --match_run.")
        granularity = GRANULARITIES[subject.hparams.granularity].of(subject)
        return cls(granularity.units(subject.matched).layers)

    def counts(self, layers: Mapping[str, Room]) -> dict[str, int]:
        """As many of each layer as the mask keeps.

        Raises:
            UserError: The mask is another network's, or keeps more than a layer has left.
        """
        for name, room in layers.items():
            self._check(name, room)
        return {name: self.layers[name].kept for name in layers}

    def _check(self, name: str, room: Room) -> None:
        if name not in self.layers or self.layers[name].total != room.total:
            has = self.layers[name].total if name in self.layers else "none"
            raise UserError(
                f"The run to match has another network: {name} has {room.total:,} here, and "
                f"{has} there."
            )
        if self.layers[name].kept > room.kept:
            raise UserError(
                f"The run to match keeps {self.layers[name].kept:,} of {name}, but only "
                f"{room.kept:,} are left here."
            )
