"""What an allocation is: it says how many of each layer are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from pruning.counts import apportioned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction


class Room(NamedTuple):
    """What a layer has, counted in what is kept or cut as one."""

    kept: int
    """How many it keeps so far: the most that it can keep."""
    total: int
    """How many it has, those cut before included."""
    least: int = 0
    """How many it keeps at least."""


class Share(NamedTuple):
    """Layers that compete with one another, and how many they keep between them."""

    names: tuple[str, ...]
    kept: int


class Allocation(Protocol):
    """How an allocation looks to whoever prunes by it."""

    def shares(self, layers: Mapping[str, Room], kept: int) -> list[Share]:
        """Divide what is kept in all among groups of layers.

        Args:
            layers: Those that may be pruned.
            kept: How many are to be kept in all; the shares add up to it, and none is more than
                its layers keep so far, or less than they keep at least.
        """


@runtime_checkable
class Counting(Protocol):
    """An allocation from whose counts it follows how many are kept in all."""

    def counts(self, layers: Mapping[str, Room]) -> dict[str, int]:
        """How many each layer keeps in the end.

        Args:
            layers: Those that may be pruned, before the first round.

        Raises:
            UserError: A layer was to keep more than it has left.
        """


def divided(
    groups: Sequence[tuple[str, ...]],
    layers: Mapping[str, Room],
    kept: int,
    sizes: Mapping[str, float | Fraction],
) -> list[Share]:
    """What is kept in all, divided among groups of layers in proportion to their sizes.

    Exact by largest remainders; what a group has not, or must not lose, the others make up for.
    """
    return [
        Share(group, count)
        for group, count in zip(
            groups,
            apportioned(
                kept,
                [sum(sizes[name] for name in group) for group in groups],
                [sum(layers[name].least for name in group) for group in groups],
                [sum(layers[name].kept for name in group) for group in groups],
            ),
            strict=True,
        )
    ]
