"""The ``oneshot`` branch: prune one state of the parent, and train on from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from branches.base import Branch
from foundations.description import Description, RunRef, run_ref_field
from foundations.errors import UserError
from foundations.hparams import step_field
from foundations.steps import Step
from pruning.strategies import parse_strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.registry import Version
    from pruning.mask import Mask
    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
class Oneshot(Branch):
    """Prune a state of the parent, and train the rest.

    The experiment of "Pruning Neural Networks at Initialization: Why Are We Missing the Mark?"
    (Frankle et al. 2021): score the weights at --prune_step, keep the best, and train from the
    weights at --state_step.
    """

    kind: ClassVar[str] = "oneshot"

    strategy: str = "magnitude"
    """How weights are scored: random, magnitude, snipN, graspN, graspabsN (N examples of each
    class), synflow."""

    prune_fraction: float = 0.8
    """The fraction of the prunable weights that is cut; of those that are left, where the parent
    is pruned already."""

    prune_experiment: RunRef | None = run_ref_field()
    """The run whose weights are scored; by default (main) the parent."""

    prune_step: Step = step_field(Step())
    """The step whose weights are scored."""

    prune_highest: bool = False
    """Cut the weights with the highest scores, not the lowest."""

    prune_iterations: int = 1
    """In how many rounds to prune; each cuts the same fraction of what remains."""

    randomize_layerwise: bool = False
    """Shuffle the mask within each layer."""

    state_experiment: RunRef | None = run_ref_field()
    """The run whose weights are trained; by default (main) the parent."""

    state_step: Step = step_field(Step())
    """The step whose weights are trained."""

    start_step: Step = step_field(Step())
    """Where the learning-rate schedule and the order of the data begin."""

    seed: int | None = None
    """The seed of random scores, of the examples that are scored on, of shuffling and of
    reinitialization; by default the replicate."""

    reinitialize: bool = False
    """Train from a new initialization, not from the state at --state_step."""

    def check(self) -> None:
        """Refuse a strategy that is unknown, and fractions and rounds out of range."""
        parse_strategy(self.strategy)
        self.require(0 <= self.prune_fraction <= 1, "prune_fraction", "it must be in [0, 1]")
        self.require(self.prune_iterations >= 1, "prune_iterations", "it must be at least 1")
        self.require_seed("seed")
        for name, step in (("prune_experiment", "prune_step"), ("state_experiment", "state_step")):
            run: RunRef | None = getattr(self, name)
            if run is not None and run.step is not None:
                raise UserError(f"{name}: which state of {run.description.name} is said by {step}.")

    def versions(self) -> dict[str, Version]:
        """The versions of the strategy and of its criterion."""
        return parse_strategy(self.strategy).versions

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The state that is scored, and the state that is trained unless that is new."""
        scored = _at(self.prune_experiment, parent, self.prune_step)
        trained = _at(self.state_experiment, parent, self.state_step)
        return (scored,) if self.reinitialize else (scored, trained)

    def start(self, states: Sequence[State], setting: Setting) -> Start:
        """Prune ``states[0]``; train ``states[1]``, or a new initialization."""
        from foundations.draws import key
        from training.start import Start
        from training.state import State

        seed = setting.replicate if self.seed is None else self.seed
        mask, facts = self._prune(states[0], setting, seed)
        if self.reinitialize:
            weights = setting.initialization(key(seed, "reinitialize"))
        else:
            weights = states[1].weights
            _check_within(mask, states[1].mask)
        begin = self.start_step.iterations(setting.iterations_per_epoch)
        return Start(State(begin, weights, mask), {"pruning": facts})

    def _prune(self, scored: State, setting: Setting, seed: int) -> tuple[Mask, object]:
        from pruning.prune import prune
        from pruning.shuffle import shuffle_layerwise

        mask, report = prune(
            setting.network(),
            setting.on_device(scored.weights),
            strategy=self.strategy,
            fraction=self.prune_fraction,
            iterations=self.prune_iterations,
            highest=self.prune_highest,
            data=setting.scoring_data(seed),
            seed=seed,
            mask=scored.mask,
        )
        if self.randomize_layerwise:
            mask = shuffle_layerwise(mask, seed, within=scored.mask)
        return mask, report


def _check_within(mask: Mask, pruned: Mask | None) -> None:
    """Refuse to keep weights that the state that is trained has lost: they would begin at zero."""
    if pruned is None:
        return
    lost = sum(int((mask[name].cpu() & ~pruned[name].cpu()).sum()) for name in mask)
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
