"""The ``layer_matched`` branch: a random mask that keeps as many of each layer as another run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from branches.base import Branch, begins, origin, pruning_of
from branches.masks import first_state, granularity_of, mask_of, masked
from foundations.description import RunRef, run_ref_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.description import Description
    from foundations.steps import Step
    from pruning.hparams import PruningHparams
    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
class LayerMatched(Branch):
    """Prune at random, keeping as many of each layer as the mask of a given run.

    The weights are those of the dense network that the parent came from, at the step at which the
    parent began. The parent may be dense itself, where --counts_of says whose counts.
    """

    kind: ClassVar[str] = "layer_matched"
    prunes: ClassVar[bool] = True

    counts_of: RunRef | None = run_ref_field()
    """The run whose counts are matched; by default (main) the parent."""

    seed: int | None = None
    """The seed of the mask; by default the replicate."""

    def check(self) -> None:
        """Refuse a seed below 0."""
        self.require_seed("seed")

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The mask whose counts are matched, and the dense weights."""
        return (masked(self.counts_of or RunRef(parent)), origin(parent))

    def begins(self, parent: Description) -> Step:
        """Where the parent did."""
        return begins(parent)

    def origin(self, parent: Description) -> RunRef:
        """The same as the parent's."""
        return origin(parent)

    def pruning(self, parent: Description) -> PruningHparams | None:
        """As that of the run whose counts are matched."""
        return pruning_of(parent if self.counts_of is None else self.counts_of.description)

    def start(
        self,
        parent: Description,
        states: Sequence[State],
        setting: Setting,
    ) -> Start:
        """A random mask of the counts of ``states[0]`` on the weights of ``states[1]``."""
        from foundations.draws import key
        from pruning.shuffle import shuffle_units

        seed = setting.replicate if self.seed is None else self.seed
        run = self.counts_of
        whose = "its parent or of --counts_of" if run is None else run.description.name
        counted = mask_of(states[0], self.kind, whose)
        granularity = granularity_of(parent if run is None else run.description, setting)
        mask = shuffle_units(counted, granularity, key(seed, self.kind))
        begin = begins(parent).iterations(setting.iterations_per_epoch)
        return first_state(begin, states[1].weights, mask, {})
