"""The ``shuffle`` branch: as many weights as the parent has, others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from branches.base import Branch, begins, origin, pruning_of
from branches.masks import (
    first_state,
    granularity_of,
    mask_of,
    mask_state,
    refuse_the_same_draw,
)
from foundations.errors import check_known
from pruning.choices import SHUFFLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.description import Description, RunRef
    from foundations.registry import Version
    from foundations.steps import Step
    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
class Shuffle(Branch):
    """Shuffle the parent's mask, and train as the parent was trained.

    Channels, kernels or gates that were kept or cut as one are shuffled as one.
    What the new mask keeps has the values of the dense network that the parent came from, at the
    step at which the parent began: none of it is zero because the parent's own mask had cut it.
    """

    kind: ClassVar[str] = "shuffle"
    prunes: ClassVar[bool] = True

    shuffle: str = "layerwise"
    """How: layerwise (each layer keeps its count), global (over all layers) or even (every layer
    keeps the same fraction). Layers that the parent's pruning ignored stay as they are."""

    seed: int | None = None
    """The seed of the shuffle; by default the replicate."""

    def check(self) -> None:
        """Refuse a way to shuffle that there is not."""
        check_known(SHUFFLES.what, self.shuffle, SHUFFLES)
        self.require_seed("seed")

    def versions(self) -> dict[str, Version]:
        """The version of the way to shuffle."""
        return {**super().versions(), f"shuffle:{self.shuffle}": SHUFFLES.version(self.shuffle)}

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The parent's mask, and the dense weights it was put on."""
        refuse_the_same_draw(self, parent)
        return (mask_state(parent), origin(parent))

    def begins(self, parent: Description) -> Step:
        """Where the parent did."""
        return begins(parent)

    def origin(self, parent: Description) -> RunRef:
        """The same as the parent's."""
        return origin(parent)

    def start(
        self,
        parent: Description,
        states: Sequence[State],
        setting: Setting,
    ) -> Start:
        """Shuffle the mask of ``states[0]``, and train ``states[1]`` under it."""
        from pruning.shuffle import shuffle_units

        seed = setting.replicate if self.seed is None else self.seed
        shuffled, granularity = mask_of(states[0], self.kind), granularity_of(parent, setting)
        made = pruning_of(parent)
        ignored = () if made is None else made.layers_to_ignore
        mask = shuffle_units(shuffled, granularity, seed, how=self.shuffle, ignored=ignored)
        facts = {"shuffle": self.shuffle}
        begin = begins(parent).iterations(setting.iterations_per_epoch)
        return first_state(begin, states[1].weights, mask, facts)
