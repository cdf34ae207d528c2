"""The ``interleaved`` branch: prune while training, in rounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from branches.pruning import PruningBranch
from branches.trained_on import TrainedOn
from foundations.errors import UserError, check_known
from foundations.hparams import step_field
from foundations.steps import Step
from pruning.strategies import STRATEGIES, parse_strategy
from training.hparams import TrainingHparams
from training.overrides import Restating, restating
from training.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.description import Description, RunRef
    from foundations.registry import Version
    from pruning.begun import Begun
    from training.course import Course
    from training.interleaving import Interleaving
    from training.setting import Setting
    from training.start import Start
    from training.state import State
    from training.tracking import Tracking

TRACKED = ("none", "average", "all")

OF_PASSES = (
    "score_per_class",
    "score_examples",
    "score_batches",
    "score_batch_size",
    "score_mode",
    "score_temperature",
    "score_precision",
    "score_augmented",
)
"""What says how passes of scoring's own are made."""


@dataclass(frozen=True, kw_only=True)
@restating("interleaved", TrainingHparams)
class Interleaved(PruningBranch, TrainedOn):
    """Prune while training: train a while, cut, go on, and so round by round; then train the rest.

    With --schedule=gradient_flow, as in "A Gradient Flow Framework for Analyzing Network Pruning"
    (Lubana and Dick 2021); with --cut_units=1 and --strategy=fisher_activations --track=all, one
    channel at a time, as in "Pruning neural networks: is it time to nip it in the bud?" (Crowley et
    al. 2018). --prune_iterations says in how many rounds. The mask after N cuts is that of the
    state at --state_step=prunes:N of whatever grows on this run.
    """

    kind: ClassVar[str] = "interleaved"

    state_step: Step = step_field(Step())
    """The state of the parent that is trained on: 0ep, its initialization, or a trained one."""

    start_step: Step = step_field(Step())
    """Where the learning-rate schedule and the order of the data begin."""

    prune_after: Step = step_field(Step())
    """How long to train before the first round: the warm-up."""

    prune_every: Step = step_field(Step(1))
    """How long each round trains before it cuts: 1ep, 100it."""

    cut_units: int | None = None
    """How many units (weights, channels, ...) each round cuts, instead of a fraction; training
    then ends with the last cut, unless --interleaved_training_steps says otherwise."""

    prune_lr: float | None = None
    """The learning rate up to the last cut; by default the schedule's."""

    preserve_momentum: bool = False
    """Keep the optimizer's state of what is left when a round cuts; by default it begins anew."""

    track: str = "none"
    """Score by what training itself computes: none (score on examples when a round cuts), average
    (a moving average over the last --track_batches of a round) or all (the mean over a round)."""

    track_batches: int = 20
    """How many of the last batches of a round --track=average sees."""

    track_alpha: float = 0.8
    """What the newest batch counts for in it: average = alpha * new + (1 - alpha) * average."""

    def check(self) -> None:
        """Refuse choices that do not go together."""
        super().check()
        self.require(self.prune_every != Step(), "prune_every", "it must be above 0")
        cut = self.cut_units
        self.require(cut is None or cut >= 1, "cut_units", "it must be at least 1")
        if cut is not None:
            self._check_counted()
        lr = self.prune_lr
        self.require(
            lr is None or 0 <= lr < float("inf"), "prune_lr", "it must be finite and not negative"
        )
        check_known("way to track", self.track, TRACKED)
        self.require(self.track_batches >= 1, "track_batches", "it must be at least 1")
        self.require(0 < self.track_alpha <= 1, "track_alpha", "it must be above 0 and at most 1")
        for field in ("track_batches", "track_alpha"):
            own = getattr(self, field) != getattr(type(self), field)
            self.require(self.track == "average" or not own, field, "it belongs to --track=average")
        if self.track != "none":
            self._check_tracked()

    def _check_tracked(self) -> None:
        """What passes of their own would score on has no say where there are none."""
        says = f"--track={self.track} scores by the batches and the loss of training"
        for field in OF_PASSES:
            same = getattr(self, field) == getattr(type(self), field)
            self.require(same, field, f"{says}: leave it out")
        published = STRATEGIES[parse_strategy(self.strategy).stem]
        self.require(
            not published.takes_examples, "strategy", f"{says}, not by examples of each class"
        )

    def _check_counted(self) -> None:
        """A count and a fraction would say two things."""
        self.require(self.granularity != "n_m", "granularity", "n_m says how many are cut")
        says = "--cut_units says how many are cut: leave it out"
        for field in ("prune_fraction", "prune_fractions", "schedule", "selection"):
            self.require(getattr(self, field) == getattr(type(self), field), field, says)
        self.require(
            self.allocation in {"global", "uniform", "groups", "stages"}, "allocation", says
        )

    def versions(self) -> dict[str, Version]:
        """The versions of how it prunes, and of what is named anew."""
        return {**PruningBranch.versions(self), **Restating.versions(self)}

    @property
    def start_decides_training(self) -> bool:
        """Where units are counted, unless it is stated: nothing left to cut ends training."""
        return self.cut_units is not None and "training_steps" not in super().given()

    @property
    def pace(self) -> Pace:
        """When rounds come."""
        return Pace(self.start_step, self.prune_after, self.prune_every)

    @property
    def cuts(self) -> int:
        """How many rounds there are to be."""
        return len(self.prune_fractions) or self.prune_iterations

    def given(self) -> dict[str, Any]:
        """What is stated anew; where units are counted, the end of training too."""
        stated = super().given()
        if self.cut_units is None:
            return stated
        return {"training_steps": self.pace.cut(self.cuts), **stated}

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The state that is trained on, and what the scores need."""
        trained = self.trained(parent)
        return (trained, *self.also_asks(trained))

    def begins(self, parent: Description) -> Step:  # noqa: ARG002 - the interface's
        """At ``start_step``."""
        return self.start_step

    def masked(self, parent: Description) -> Step | None:  # noqa: ARG002 - the interface's
        """At its end."""
        return None

    def start(self, parent: Description, states: Sequence[State], setting: Setting) -> Start:  # noqa: ARG002 - the interface's
        """``states[0]``, with a mask that keeps what it keeps; nothing is cut yet.

        Raises:
            UserError: The rounds do not fit into training, or cannot cut what is asked for.
        """
        from pruning.mask import Mask
        from training.start import Start
        from training.state import State

        begun = self._begun(states[0], states[1:], setting)
        units = begun.method.granularity.units(begun.mask)
        mask = Mask({**begun.mask, **units}) if self.granularity == "gates" else begun.mask
        kept = self._kept(begun)
        facts: dict[str, Any] = {"units": begun.units.kept, "kept": list(kept)}
        training = None
        if self.start_decides_training:
            last = self.pace.cut(len(kept))
            training = replace(setting.recipe.training, training_steps=last)
            setting = replace(setting, recipe=replace(setting.recipe, training=training))
        if len(kept) < self.cuts:
            facts["stops"] = (
                f"Nothing is left to cut after {len(kept):,} of {self.cuts:,} rounds: it "
                f"{'stops there, at' if training else 'cuts no more, and trains to'} "
                f"{setting.recipe.training.training_steps}."
            )
        self._interleaving(begun, setting)
        begin = self.start_step.iterations(setting.iterations_per_epoch)
        return Start(State(begin, states[0].weights, mask.to("cpu")), facts, training=training)

    def companions(self, parent: Description) -> tuple[RunRef, ...]:
        """What the scores of every round need."""
        return self.also_asks(self.trained(parent))

    def course(
        self,
        parent: Description,  # noqa: ARG002 - the interface's
        start: State,
        companions: Sequence[State],
        setting: Setting,
    ) -> Course:
        """Rounds of pruning."""
        begun = self._begun(start, companions, setting)
        return self._interleaving(begun, setting).course(self.prune_lr)

    def _begun(self, state: State, also: Sequence[State], setting: Setting) -> Begun:
        from pruning.begun import begun

        weights = setting.on_device(state.weights)
        return begun(self.subject(also, setting), weights, state.mask)

    def _kept(self, begun: Begun) -> tuple[int, ...]:
        from training.interleaving import counted

        if self.cut_units is not None:
            return counted(begun, self.cut_units, self.cuts)
        return begun.method.schedule.kept(begun.goal)

    def _interleaving(self, begun: Begun, setting: Setting) -> Interleaving:
        """When each round cuts, and how."""
        from pruning.rounds import Rounds
        from training.interleaving import Interleaving

        kept, per_epoch = self._kept(begun), setting.iterations_per_epoch
        cuts = (self.pace.cut(number) for number in range(1, len(kept) + 1))
        iterations = tuple(cut.iterations(per_epoch) for cut in cuts)
        if iterations[-1] > setting.end:
            raise UserError(
                f"The last of {len(kept)} rounds cuts at {Step.at(iterations[-1], per_epoch)}, but "
                f"training ends at {Step.at(setting.end, per_epoch)} ({per_epoch} iterations an "
                "epoch). Give --interleaved_training_steps, fewer rounds (--prune_iterations) or "
                "shorter ones (--prune_every)."
            )
        cutting = begun.method.cutting(begun.units)
        if kept[-1] < begun.units.kept:
            cutting.shares(begun.units, kept[-1])  # refuses what the last round could not cut
        rounds = Rounds(begun.method, begun.network, cutting, kept)
        return Interleaving(
            rounds,
            iterations,
            setting,
            self.key_of(setting),
            self.preserve_momentum,
            self._tracking(begun, iterations, setting),
        )

    def _tracking(
        self, begun: Begun, iterations: tuple[int, ...], setting: Setting
    ) -> Tracking | None:
        from models.build import trainable
        from training.tracking import tracking

        if self.track == "none":
            return None
        average = self.track == "average"
        return tracking(
            begun,
            trainable(begun.network, setting.recipe.model),
            iterations,
            self.track_batches if average else None,
            self.track_alpha if average else None,
        )
