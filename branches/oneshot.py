"""The ``oneshot`` branch: prune one state of the parent, and train on from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from branches.base import Branch, dense_at
from branches.pruning import PruningBranch
from branches.reinit import Reinit
from foundations.description import Description, RunRef, run_ref_field
from foundations.errors import UserError
from foundations.hparams import step_field
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pruning.mask import Mask
    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
class Oneshot(PruningBranch, Branch):
    """Prune a state of the parent, and train the rest.

    The experiment of "Pruning Neural Networks at Initialization: Why Are We Missing the Mark?"
    (Frankle et al. 2021): score the weights at --prune_step, keep the best, and train from the
    weights at --state_step.
    """

    kind: ClassVar[str] = "oneshot"

    prune_experiment: RunRef | None = run_ref_field()
    """The run whose weights are scored; by default (main) the parent."""

    prune_step: Step = step_field(Step())
    """The step whose weights are scored."""

    randomize_layerwise: bool = False
    """Shuffle the mask within each layer."""

    state_experiment: RunRef | None = run_ref_field()
    """The run whose weights are trained; by default (main) the parent."""

    state_step: Step = step_field(Step())
    """The step whose weights are trained."""

    start_step: Step = step_field(Step())
    """Where the learning-rate schedule and the order of the data begin."""

    reinitialize: bool = False
    """Train from a new initialization, not from the state at --state_step."""

    def check(self) -> None:
        """Refuse choices that do not go together, and steps that are said twice."""
        super().check()
        for name, step in (("prune_experiment", "prune_step"), ("state_experiment", "state_step")):
            run: RunRef | None = getattr(self, name)
            if run is not None and run.step is not None:
                raise UserError(f"{name}: which state of {run.description.name} is said by {step}.")

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The state that is scored, the state that is trained unless that is new, and others."""
        scored = _at(self.prune_experiment, parent, self.prune_step)
        trained = () if self.reinitialize else (self._trained(parent),)
        return (scored, *trained, *self.also_asks(scored))

    def begins(self, parent: Description) -> Step:  # noqa: ARG002 - the interface's
        """At ``start_step``."""
        return self.start_step

    def origin(self, parent: Description) -> RunRef:
        """The state that is trained, of a dense run; or the new initialization of one."""
        if self.reinitialize:
            return Reinit(seed=self.seed).origin(parent)
        return dense_at(self._trained(parent))

    def start(
        self,
        parent: Description,  # noqa: ARG002 - the interface's
        states: Sequence[State],
        setting: Setting,
    ) -> Start:
        """Prune ``states[0]``; train ``states[1]``, or a new initialization."""
        from foundations.draws import key
        from training.start import Start
        from training.state import State

        scored, seed = states[0], self.key_of(setting)
        mask, report = self.pruned(scored, states[1 if self.reinitialize else 2 :], setting)
        if self.randomize_layerwise:
            mask = self.shuffled(mask, scored, setting)
        if self.reinitialize:
            weights = setting.initialization(key(seed, "reinitialize"))
        else:
            weights = states[1].weights
            _check_within(mask, states[1].mask)
        begin = self.start_step.iterations(setting.iterations_per_epoch)
        return Start(State(begin, weights, mask), {"pruning": report})

    def _trained(self, parent: Description) -> RunRef:
        return _at(self.state_experiment, parent, self.state_step)


def _check_within(mask: Mask, pruned: Mask | None) -> None:
    """Refuse to keep weights that the state that is trained has lost: they would begin at zero."""
    import torch

    if pruned is None:
        return
    kept = {name: mask.get(name, torch.ones_like(was)).cpu() for name, was in pruned.items()}
    lost = sum(int((kept[name] & ~was.cpu()).sum()) for name, was in pruned.items())
    if lost:
        raise UserError(
            f"{lost:,} of the weights that the new mask keeps are pruned, and so zero, in the "
            "state that is to be trained. Score a state of that same run (--prune_experiment), "
            "train from a dense one (--state_experiment), or give --reinitialize."
        )


def _at(run: RunRef | None, parent: Description, step: Step) -> RunRef:
    """The state at ``step`` of the run named, or else of the parent."""
    if run is None:
        return RunRef(parent, step=step)
    return RunRef(run.description, run.replicate, step)
