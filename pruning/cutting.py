"""Which units go in a round: so many of each share of the layers, and none that a layer needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundations.errors import UserError
from pruning import select
from pruning.allocations import Counting, Room
from pruning.allocations.counted import Counted
from pruning.counts import at_least
from pruning.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from pruning.allocations import Allocation, Share
    from pruning.selection import Selection


@dataclass(frozen=True)
class Minimum:
    """What every layer keeps at least; more than a layer has kept so far, it cannot."""

    count: int = 0
    fraction: float = 0.0

    def rooms(self, units: Mask) -> dict[str, Room]:
        """What each layer keeps so far, has in all, and keeps at least."""
        return {
            name: Room(kept, total, min(kept, max(self.count, at_least(total, self.fraction))))
            for name, (kept, total) in units.layers.items()
        }


@dataclass(frozen=True)
class Cutting:
    """How the units of a round are chosen, whatever their scores."""

    allocation: Allocation
    selection: Selection
    minimum: Minimum
    highest: bool

    def cut(self, scores: Mapping[str, Tensor], units: Mask, target: int) -> Mask:
        """Of the units, those that are kept when each share of the layers keeps its count.

        Raises:
            UserError: The minima of the layers are more than are to be kept in all.
            RunFailedError: The score of a unit that is kept so far is not a number.
        """
        rooms = self.minimum.rooms(units)
        kept: dict[str, Tensor] = {}
        for share in self.shares(units, target):
            chosen = {name: units[name] for name in share.names}
            kept |= self._share({name: scores[name] for name in chosen}, chosen, share.kept, rooms)
        return Mask(kept)

    def shares(self, units: Mask, target: int) -> list[Share]:
        """How many of the units each share of the layers keeps, of so many in all.

        Raises:
            UserError: The minima of the layers are more than are to be kept in all.
        """
        rooms = self.minimum.rooms(units)
        _check_least([room.least for room in rooms.values()], target)
        shares = self.allocation.shares(rooms, target)
        for share in shares:
            _check_least([rooms[name].least for name in share.names], share.kept)
        return shares

    def _share(
        self,
        scores: Mapping[str, Tensor],
        units: Mapping[str, Tensor],
        target: int,
        rooms: Mapping[str, Room],
    ) -> dict[str, Tensor]:
        """What layers that compete keep: the best of each, and then the best of all."""
        count = sum(rooms[name].kept for name in units) - target
        best = self._best(scores, units, rooms)
        others = {name: units[name] & ~best[name] for name in best}
        fewer = self.selection.cut(scores, {**units, **others}, count, highest=self.highest)
        return {**fewer, **{name: fewer[name] | best[name] for name in best}}

    def _best(
        self, scores: Mapping[str, Tensor], units: Mapping[str, Tensor], rooms: Mapping[str, Room]
    ) -> dict[str, Tensor]:
        """What a layer keeps whatever the others have; nothing without a minimum."""
        best: dict[str, Tensor] = {}
        for name, (kept, _, least) in rooms.items():
            if least and name in units:
                one = ({name: scores[name]}, {name: units[name]})
                best |= select.cut(*one, kept - least, highest=self.highest)
        return best


def settled(allocation: Allocation | Counting, rooms: Mapping[str, Room]) -> Allocation:
    """The allocation; from one that says what is left in the end, how that is come to.

    Raises:
        UserError: It asks for more than a layer has left.
    """
    return Counted(allocation.counts(rooms)) if isinstance(allocation, Counting) else allocation


def _check_least(least: list[int], kept: int) -> None:
    if sum(least) > kept:
        raise UserError(
            f"Layers keep at least {sum(least):,} between them (minimum_kept, minimum_fraction), "
            f"and {kept:,} are to be kept of them in all. Lower the minimum, or cut less."
        )
