"""How the counts that layers have in the end are come to, round by round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pruning.allocations import Share
from pruning.counts import apportioned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pruning.allocations import Room


@dataclass(frozen=True)
class Counted:
    """In every round each layer goes the same part of its way; in the end it has its count."""

    counts: Mapping[str, int]

    def shares(self, layers: Mapping[str, Room], kept: int) -> list[Share]:
        """One share a layer: its count in the end, and a part of what it keeps above that."""
        names = sorted(layers)
        above = [layers[name].kept - self.counts[name] for name in names]
        left = kept - sum(self.counts[name] for name in names)
        parts = apportioned(left, above, most=above)
        return [
            Share((name,), self.counts[name] + part)
            for name, part in zip(names, parts, strict=True)
        ]
