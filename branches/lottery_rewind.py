"""The ``lottery_rewind`` branch: one level of the lottery: prune the end, rewind, train again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from branches.base import Branch, dense_at
from branches.pruning import PruningBranch
from foundations.description import Description, RunRef
from foundations.errors import check_known
from foundations.hparams import step_field
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.setting import Setting
    from training.start import Start
    from training.state import State

REWINDS = ("weights", "learning_rate")


@dataclass(frozen=True, kw_only=True)
class LotteryRewind(PruningBranch, Branch):
    """Prune the end of the parent, rewind what is left, and train it again.

    One level of the lottery ticket experiments (Frankle & Carbin 2019; Frankle et al. 2020): the
    parent's weights at the end of its training are scored and pruned, the survivors go back to the
    values that they had at --rewinding_steps, and the learning rate goes on from there. The
    command 'lottery' makes a chain of these.
    """

    kind: ClassVar[str] = "lottery_rewind"

    prune_fraction: float = 0.2
    """The fraction that is cut of the weights that are left, unless --prune_fraction_of says
    otherwise."""

    rewinding_steps: Step = step_field(Step())
    """The step to which weights and learning rate go back."""

    rewind: str = "weights"
    """What goes back: weights (and the learning rate with them), or the learning_rate alone, on
    the weights of the end (Renda et al. 2020)."""

    def check(self) -> None:
        """Refuse choices that do not go together."""
        super().check()
        check_known("thing to rewind", self.rewind, REWINDS)

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The end of the parent, the weights to go back to, and what the scores need."""
        back = (RunRef(parent, step=self.rewinding_steps),) if self.rewind == "weights" else ()
        return (RunRef(parent), *back, *self.also_asks(RunRef(parent)))

    def begins(self, parent: Description) -> Step:  # noqa: ARG002 - the interface's
        """At the step to which the learning rate goes back."""
        return self.rewinding_steps

    def origin(self, parent: Description) -> RunRef:
        """The dense weights at the step that the survivors went back to, or else at the end."""
        step = self.rewinding_steps if self.rewind == "weights" else None
        return dense_at(RunRef(parent, step=step))

    def start(
        self,
        parent: Description,  # noqa: ARG002 - the interface's
        states: Sequence[State],
        setting: Setting,
    ) -> Start:
        """Prune ``states[0]``, and train the survivors from ``states[1]``."""
        from training.start import Start
        from training.state import State

        back = self.rewind == "weights"
        mask, report = self.pruned(states[0], states[2 if back else 1 :], setting)
        weights = states[1 if back else 0].weights
        begin = self.rewinding_steps.iterations(setting.iterations_per_epoch)
        return Start(State(begin, weights, mask), {"pruning": report})
