"""The ``distill`` branch: the parent's end goes on, and learns from an ensemble of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from branches.base import recipe_of
from branches.trained_on import TrainedOn
from foundations.description import Description, RunRef, run_refs_field
from foundations.errors import UserError, check_known
from foundations.hparams import optional_step_field
from foundations.steps import Step
from training.hparams import TrainingHparams
from training.overrides import restating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.distilling import Distilling
    from training.setting import Setting
    from training.start import Start
    from training.state import State

MEANS = ("examples", "examples_and_classes")


@dataclass(frozen=True, kw_only=True)
@restating(
    "distill",
    TrainingHparams,
    optimizer_name="adam",
    training_steps=Step(40),
    lr=0.001,
    lr_schedule="one_cycle",
)
class Distill(TrainedOn):
    """Train the end of the parent on, to give the outputs of an ensemble of other runs.

    The loss is the mean over --teachers of T^2 KL(softmax(t / T) || softmax(s / T)), t being the
    teacher's logits and s the student's for the same augmented images. The student keeps its mask.
    By default as KESI trains ("Paying more Attention to Snapshots of Iterative Pruning", Le et al.
    2020), without labels: 40 epochs of Adam, one cycle to 0.001; all else is the parent's.
    """

    kind: ClassVar[str] = "distill"

    teachers: tuple[RunRef, ...] = run_refs_field()
    """The runs that teach, by their ends: any network for the same images and classes."""

    state_step: Step | None = optional_step_field()
    """Which state of the parent is trained on; by default its end."""

    distill_temperature: float = 5.0
    """The T that the logits of teachers and student are divided by."""

    distill_cross_entropy: float = 0.0
    """The weight of the cross entropy of the labels, which is added to the loss."""

    distill_mean: str = "examples"
    """Over what the divergence is a mean: examples, or examples_and_classes as in the code of KESI,
    which makes the loss smaller by the number of classes."""

    def check(self) -> None:
        """Refuse to learn from nobody, and values out of range."""
        super().check()
        if not self.teachers:
            raise UserError("Who teaches? Name one or more runs: --teachers=RUN,RUN.")
        check_known("mean for distill_mean", self.distill_mean, MEANS)
        ok = 0 < self.distill_temperature < float("inf")
        self.require(ok, "distill_temperature", "it must be positive and finite")
        self.require(self.distill_cross_entropy >= 0, "distill_cross_entropy", "0 or more")

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The state that is trained on, and the teachers."""
        return (self.trained(parent), *self.teachers)

    def companions(self, parent: Description) -> tuple[RunRef, ...]:  # noqa: ARG002 - the interface's
        """The teachers."""
        return self.teachers

    def check_fit(self, states: Sequence[State], setting: Setting) -> None:
        """Refuse another network's weights for the student; teachers may be other networks."""
        super().check_fit(states[:1], setting)

    def objective(
        self,
        parent: Description,  # noqa: ARG002 - the interface's
        companions: Sequence[State],
        setting: Setting,
    ) -> Distilling:
        """What the teachers, whose states are the companions, teach."""
        from training.distilling import Distilling, teacher

        pairs = zip(self.teachers, companions, strict=True)
        networks = [teacher(setting, recipe_of(ref.description), state) for ref, state in pairs]
        return Distilling(
            networks,
            setting.recipe.training,
            temperature=self.distill_temperature,
            mean=self.distill_mean,
            cross_entropy=self.distill_cross_entropy,
        )

    def start(self, parent: Description, states: Sequence[State], setting: Setting) -> Start:
        """The weights and mask of ``states[0]``; and how good the ensemble is on the test set."""
        from training.distilling import ensemble_accuracy
        from training.start import Start
        from training.state import State

        networks = self.objective(parent, states[1:], setting).teachers
        batches = setting.evaluation("test")
        measured = (
            ()
            if batches is None
            else (("test", "accuracy of the ensemble", ensemble_accuracy(networks, batches)),)
        )
        return Start(State(0, states[0].weights, states[0].mask), measured=measured)
