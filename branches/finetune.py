"""The ``finetune`` branch: go on from the parent's end, by a training of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from branches.trained_on import TrainedOn
from foundations.hparams import optional_step_field
from foundations.steps import Step
from training.hparams import TrainingHparams
from training.overrides import restating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.description import Description
    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
@restating(
    "finetune",
    TrainingHparams,
    training_steps=Step(40),
    lr=0.001,
    lr_schedule="milestones",
    milestone_steps=(),
)
class Finetune(TrainedOn):
    """Train the end of the parent on, with a learning rate and a schedule of its own.

    Its weights and its mask stay, the optimizer is a new one, and the schedule begins anew. By
    default as pruned networks are fine-tuned in "Rethinking the Value of Network Pruning" (Liu et
    al. 2019): 40 epochs at a constant 0.001; all else is the parent's. With
    --finetune_lr_schedule=one_cycle, as in "Network Pruning That Matters" (Le & Hua 2021).
    """

    kind: ClassVar[str] = "finetune"

    state_step: Step | None = optional_step_field()
    """Which state of the parent is trained on; by default its end."""

    def given(self) -> dict[str, Any]:
        """What is stated anew; a schedule is, and so has no warm-up of the parent's."""
        stated = super().given()
        return {"warmup_steps": None, **stated} if "lr_schedule" in stated else stated

    def start(self, parent: Description, states: Sequence[State], setting: Setting) -> Start:  # noqa: ARG002 - the interface's
        """The weights and mask of ``states[0]``, at the beginning of the schedule."""
        from training.start import Start
        from training.state import State

        return Start(State(0, states[0].weights, states[0].mask))
