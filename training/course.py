"""What happens to a run while it trains, besides its updates: changes, and who watches for them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from pruning.mask import Mask
    from training.state import State

    Gates = dict[str, Tensor]


class Update(NamedTuple):
    """An update, as it looks when it has been made."""

    parameters: Mapping[str, Tensor]
    """All of them, after it."""
    gradients: Mapping[str, Tensor]
    """Of the loss before it, by the parameters that are trained; zero where the mask cuts."""
    gates: Mapping[str, Tensor]
    """(examples, width): those that the observer asked for."""
    slopes: Mapping[str, Tensor]
    """Likewise: the derivatives of the loss by them."""
    examples: int


class Observer(Protocol):
    """Who accumulates something while a run trains.

    What it has seen is in tensors that checkpoints hold; it has no state of its own.
    """

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates, as masks name them, that the network must have for it."""

    def watches(self, iteration: int) -> bool:
        """Whether it looks at the update that follows so many iterations."""

    def fresh(self) -> dict[str, Tensor]:
        """What it has seen before the first update: zeros, on any device."""

    def inputs(self, examples: int, gates: Mapping[str, Tensor], like: Tensor) -> Gates:
        """The gates of each example, (examples, width), by the names of the network's buffers.

        Args:
            examples: In the batch.
            gates: The run's own gates, by the same names, among other tensors.
            like: A tensor of the device and floating type of the gates.
        """

    def observe(self, seen: Mapping[str, Tensor], update: Update) -> None:
        """Add an update to what was seen, in place."""


@dataclass(frozen=True, eq=False)
class Course:
    """Changes of a run's state at iterations that are known beforehand."""

    changes: tuple[int, ...]
    """The iterations, rising, at which the state is changed, once the update is made."""
    change: Callable[[State], State]
    """A pure function; the iteration of the state says which change it is."""
    kept: Callable[[Mask], int]
    """How many units a mask keeps, for the record."""
    observer: Observer | None = None
    lr: float | None = None
    """The learning rate up to the last change, where it is not the schedule's."""

    def after(self, iteration: int) -> int | None:
        """The next change behind an iteration; None where there is none."""
        return next_of(self.changes, iteration)


def next_of(changes: Sequence[int], iteration: int) -> int | None:
    """The first of these rising iterations that lies behind one; None where none does.

    Asked at every update, so not looked for from the first on.
    """
    position = bisect_right(changes, iteration)
    return changes[position] if position < len(changes) else None
