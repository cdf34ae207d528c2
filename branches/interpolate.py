"""The ``interpolate`` branch: how good a network is on the line between the ends of two runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from branches.base import Branch, begins, lineage, recipe_of
from branches.retrain import Retrain
from foundations.description import BranchDesc, Description, RunRef, run_ref_field
from foundations.errors import UserError
from foundations.hparams import optional_step_field
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.hparams import Json
    from training.setting import Setting
    from training.start import Start
    from training.state import State

SPLITS = ("test", "train")


@dataclass(frozen=True, kw_only=True)
class Interpolate(Branch):
    """Measure accuracy and loss on the line between the ends of two runs, without training.

    The linear interpolation of "Linear Mode Connectivity and the Lottery Ticket Hypothesis"
    (Frankle et al. 2020). One end is the parent's. The other is that of --other; or, with
    --fork_step and --other_data_order_seed, that of the same training with other noise: the state
    at that step goes on twice, in two orders of the data, both times with a fresh optimizer.

    The measures on test and train are in metrics.csv: 'accuracy at 0.5' is half way. The
    instability is in start.json: the mean of the errors of the ends, taken from the largest error
    on the line. The state that is kept is half way.
    """

    kind: ClassVar[str] = "interpolate"

    other: RunRef | None = run_ref_field()
    """The run at the other end."""

    fork_step: Step | None = optional_step_field()
    """The step of the parent up to which both ends are one run; instead of --other."""

    other_data_order_seed: int | None = None
    """The seed of the order of the data of the second end, with --fork_step; the first has that of
    the parent."""

    points: int = 11
    """At how many points of the line is measured, both ends included."""

    recalibrate: bool = False
    """Recompute the statistics of the batch norms at every point that is measured, on training
    examples that are not augmented. Otherwise they are interpolated too, as in the state that is
    kept."""

    unrelated: bool = False
    """Draw the line between runs that share no state, too: it then says nothing of the noise of
    training."""

    def check(self) -> None:
        """Refuse ends that are not said, or said twice."""
        forked = (self.fork_step is not None, self.other_data_order_seed is not None)
        if (self.other is not None, *forked) not in {(True, False, False), (False, True, True)}:
            raise UserError(
                "Between which ends? Give --other=RUN; or --fork_step=STEP and "
                "--other_data_order_seed=SEED."
            )
        self.require_seed("other_data_order_seed")
        self.require(self.points >= 2, "points", "it is 2 or more: both ends count")

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The two ends.

        Raises:
            UserError: They share no state.
        """
        if self.other is not None:
            self._check_related(parent, self.other.description)
            return (RunRef(parent), self.other)
        return (self._child(parent, None), self._child(parent, self.other_data_order_seed))

    def begins(self, parent: Description) -> Step:
        """At the end: nothing is trained."""
        return recipe_of(parent).training.training_steps

    def start(self, parent: Description, states: Sequence[State], setting: Setting) -> Start:  # noqa: ARG002 - the interface's
        """The state half way between ``states``, and what was measured on the line."""
        from training.interpolating import Line, instability
        from training.start import Start

        if setting.order_seed == self.other_data_order_seed:
            raise UserError(
                f"other_data_order_seed={self.other_data_order_seed} is the seed of the parent's "
                "own order of the data: both ends would be one run. Give another."
            )
        line = Line.between(states[0], states[1], setting)
        measured = line.measured(self.points, SPLITS, recalibrate=self.recalibrate)
        facts = {"instability": {split: instability(measured, split) for split in SPLITS}}
        return Start(line.state(0.5, setting.end), facts, measured=measured)

    def _check_related(self, parent: Description, other: Description) -> None:
        one, two = lineage(parent), lineage(other)
        shared = {run.name for run in one} & {run.name for run in two}
        begun_alike = _initialization(one[0]) == _initialization(two[0])
        if not (shared or begun_alike or self.unrelated):
            raise UserError(
                f"{parent.name} and {other.name} share no state: neither grew on the other or on "
                "one run, and their first weights differ. Give --unrelated to have the line anyway."
            )

    def _child(self, parent: Description, order_seed: int | None) -> RunRef:
        """The parent from ``fork_step`` on; itself, where it began there and keeps its order."""
        fork = self.fork_step or Step()
        if order_seed is None and fork == begins(parent):
            return RunRef(parent)
        order: dict[str, Any] = {"retrain_data_order_seed": order_seed}
        branch = Retrain(state_step=fork, start_step=fork, **order)
        return RunRef(BranchDesc(parent=parent, branch=branch))


def _initialization(root: Description) -> Json:
    """What decides the first weights of a run that grew on no other."""
    recipe = recipe_of(root)
    return root.kind, recipe.model.canonical(), root.name if root.kind != "train" else ""
