"""How a branch prunes a state: its hyperparameters, the states they need, and the mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from branches.masks import first, masked
from foundations.description import BranchHparams, RunRef, run_ref_field
from foundations.errors import UserError
from pruning.hparams import PruningHparams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.description import Description
    from pruning.mask import Mask
    from pruning.prune import Pruned
    from pruning.subject import Subject
    from training.setting import Setting
    from training.state import State


@dataclass(frozen=True, kw_only=True)
class PruningBranch(PruningHparams, BranchHparams):
    """What branches that prune have in common."""

    prunes: ClassVar[bool] = True

    match_run: RunRef | None = run_ref_field()
    """The run whose mask says how many of each layer are kept, for --allocation=matched."""

    seed: int | None = None
    """The seed of random scores, of the examples that are scored on, of shuffling and of
    reinitialization; by default the replicate."""

    def check(self) -> None:
        """Refuse choices that do not go together."""
        super().check()
        self.require_seed("seed")
        if (self.match_run is not None) != (self.allocation == "matched"):
            raise UserError("--allocation=matched needs --match_run, and no other takes it.")

    def also_asks(self, scored: RunRef) -> tuple[RunRef, ...]:
        """The states that the pruning itself needs besides the one that is scored."""
        initial = (first(replace(scored, step=None)),) if self.score_distance else ()
        return initial if self.match_run is None else (*initial, masked(self.match_run))

    def pruning(self, parent: Description) -> PruningHparams:  # noqa: ARG002 - the interface's
        """As this branch says."""
        return self

    def key_of(self, setting: Setting) -> int:
        """The seed, which follows the replicate unless it is given."""
        return setting.replicate if self.seed is None else self.seed

    def pruned(self, scored: State, also: Sequence[State], setting: Setting) -> Pruned:
        """Prune a state.

        Args:
            scored: Its weights are scored, and its mask is pruned further.
            also: What ``also_asks`` names, in that order.
            setting: Network, data and where to compute.
        """
        from pruning.prune import prune

        seed = self.key_of(setting)
        return prune(
            self.subject(also, setting),
            setting.on_device(scored.weights),
            data=setting.scoring_data(seed),
            seed=seed,
            mask=scored.mask,
        )

    def subject(self, also: Sequence[State], setting: Setting) -> Subject:
        """What is pruned, and how; ``also`` as in ``pruned``."""
        from pruning.subject import Subject

        return Subject(
            setting.network(),
            self,
            setting.data.shape,
            matched=None if self.match_run is None else _mask_of(also[-1], self.match_run),
            initial=setting.on_device(also[0].weights) if self.score_distance else None,
        )

    def shuffled(self, mask: Mask, scored: State, setting: Setting) -> Mask:
        """A mask that pruning gave, shuffled within each layer and within what was kept before."""
        from pruning.choices import GRANULARITIES
        from pruning.shuffle import shuffle_units
        from pruning.subject import Subject

        subject = Subject(setting.network(), self, setting.data.shape)
        granularity = GRANULARITIES[self.granularity].of(subject)
        return shuffle_units(mask, granularity, self.key_of(setting), within=scored.mask)


def _mask_of(state: State, run: RunRef) -> Mask:
    if state.mask is None:
        raise UserError(f"{run.description.name} is not pruned: it has no counts to match.")
    return state.mask
