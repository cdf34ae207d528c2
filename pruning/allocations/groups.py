"""Groups of layers, of which each keeps the same fraction, and in which the layers compete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from foundations.errors import UserError
from pruning.allocations import divided
from pruning.layers import named_by, parse_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pruning.allocations import Room, Share
    from pruning.subject import Subject


@dataclass(frozen=True)
class Groups:
    """Groups by the beginnings of names; of several that a layer has, the longest counts."""

    beginnings: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """Those of ``layer_groups``."""
        return cls(parse_groups(subject.hparams.layer_groups or ""))

    def shares(self, layers: Mapping[str, Room], kept: int) -> list[Share]:
        """One share a group.

        Raises:
            UserError: A beginning is that of no layer, or a layer is in no group.
        """
        group_of = {b: at for at, group in enumerate(self.beginnings) for b in group}
        by_name = named_by(layers, group_of, "layer_groups")
        if left_out := sorted(set(layers) - set(by_name)):
            raise UserError(
                f"In no group of layer_groups: {', '.join(left_out)}. Add them to a group, or to "
                "--layers_to_ignore."
            )
        members: list[list[str]] = [[] for _ in self.beginnings]
        for name in sorted(layers):
            members[group_of[by_name[name]]].append(name)
        return same_fraction(members, layers, kept)


def same_fraction(
    groups: Sequence[Sequence[str]], layers: Mapping[str, Room], kept: int
) -> list[Share]:
    """A share for each group that has a layer: the same fraction of all that each has."""
    sizes = {name: room.total for name, room in layers.items()}
    return divided([tuple(group) for group in groups if group], layers, kept, sizes)
