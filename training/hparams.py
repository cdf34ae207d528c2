"""The hyperparameters of training, and those of a run that do not change its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundations.errors import check_known
from foundations.hparams import (
    Hparams,
    optional_step_field,
    required_step_field,
    steps_field,
)
from foundations.steps import Step
from training import OPTIMIZERS, SCHEDULES
from training.sinks import SINKS
from training.world import WORLD, profile_of, world_of

if TYPE_CHECKING:
    from foundations.registry import Version

SPLITS = ("test", "validation", "train")
NUMERICS = {
    "float32": "deterministic float32, no TF32, no autotuning, channels-last convolutions",
    "float32_channels_first": "the same with PyTorch's default memory format",
    "compiled": "float32, with the whole training step compiled (10-60 s once, then cached)",
    "bfloat16": "bfloat16 arithmetic where autocast has it, float32 weights",
    "compiled_bfloat16": "both: the fastest for convolutional networks",
    "float64": "deterministic float64, for checking",
}
"""What each profile of ``--numerics`` does; ``training.numerics`` has what it means."""


@dataclass(frozen=True, kw_only=True)
class TrainingHparams(Hparams):
    """How a network is trained."""

    optimizer_name: str
    """The optimizer: sgd, adam or adamw."""

    lr: float
    """The learning rate; with one_cycle, its maximum."""

    training_steps: Step = required_step_field()
    """How long to train, as epochs and iterations: 160ep, 50000it, 3ep200it."""

    data_order_seed: int | None = None
    """The seed of the order of the examples and of their augmentation; by default it follows the
    replicate."""

    momentum: float = 0.0
    """The momentum of SGD."""

    nesterov_momentum: float = 0.0
    """The Nesterov momentum of SGD; used in place of momentum when above 0."""

    milestone_steps: tuple[Step, ...] = steps_field()
    """When the learning rate is multiplied by gamma: 80ep,120ep."""

    gamma: float | None = None
    """The factor of the learning rate at each milestone."""

    warmup_steps: Step | None = optional_step_field()
    """How long the learning rate grows linearly from 0."""

    weight_decay: float = 0.0
    """The weight decay, on every parameter: L2 for sgd and adam, decoupled for adamw."""

    apex_fp16: bool = False
    """OpenLTH's flag for 16-bit arithmetic: the same as --numerics=bfloat16."""

    adam_beta1: float = 0.9
    """The decay of Adam's first moment."""

    adam_beta2: float = 0.999
    """The decay of Adam's second moment."""

    adam_epsilon: float = 1e-8
    """What Adam adds to the root of its second moment."""

    lr_schedule: str = "milestones"
    """The shape of the learning rate: milestones, cosine (to 0) or one_cycle."""

    one_cycle_warmup_fraction: float = 0.3
    """The fraction of training in which one_cycle rises to its maximum."""

    one_cycle_div_factor: float = 25.0
    """The maximum of one_cycle over its first learning rate."""

    one_cycle_final_div_factor: float = 1e4
    """The first learning rate of one_cycle over its last."""

    label_smoothing: float = 0.0
    """The weight of the uniform distribution in the targets of training."""

    loss_temperature: float = 1.0
    """What the logits are divided by in the loss, in training and evaluation."""

    clip_gradient_norm: float | None = None
    """The largest norm of the gradient of all parameters; longer ones are scaled down."""

    numerics: str = "float32"
    """The arithmetic: float32, float32_channels_first, compiled, bfloat16, compiled_bfloat16 or
    float64. With _world_N behind it, as in float32_world_2, N processes train the run together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.apex_fp16:  # one meaning, one name: both ways of asking are the same run
            self.require(self.numerics in {"float32", "bfloat16"}, "numerics", "with apex_fp16")
            object.__setattr__(self, "numerics", "bfloat16")
            object.__setattr__(self, "apex_fp16", False)

    def versions(self) -> dict[str, Version]:
        """The versions of the optimizer and of the schedule."""
        return {
            f"optimizer:{self.optimizer_name}": OPTIMIZERS.version(self.optimizer_name),
            f"lr_schedule:{self.lr_schedule}": SCHEDULES.version(self.lr_schedule),
        }

    def check(self) -> None:
        """Refuse unknown names and values out of range."""
        check_known(OPTIMIZERS.what, self.optimizer_name, OPTIMIZERS)
        check_known(SCHEDULES.what, self.lr_schedule, SCHEDULES)
        self._check_numerics()
        self.require_seed("data_order_seed")
        self.require(0 <= self.lr < float("inf"), "lr", "it must be finite and not negative")
        for field in ("momentum", "nesterov_momentum", "adam_beta1", "adam_beta2"):
            self.require(0 <= getattr(self, field) < 1, field, "it must be in [0, 1)")
        for field in ("weight_decay", "adam_epsilon"):
            self.require(getattr(self, field) >= 0, field, "it must not be negative")
        for field in ("loss_temperature", "one_cycle_div_factor", "one_cycle_final_div_factor"):
            self.require(getattr(self, field) > 0, field, "it must be positive")
        self.require(0 <= self.label_smoothing <= 1, "label_smoothing", "it must be in [0, 1]")
        self.require(
            0 < self.one_cycle_warmup_fraction < 1,
            "one_cycle_warmup_fraction",
            "it must lie between 0 and 1",
        )
        clip = self.clip_gradient_norm
        self.require(clip is None or clip > 0, "clip_gradient_norm", "it must be positive")
        self._check_schedule()

    def _check_numerics(self) -> None:
        profile = profile_of(self.numerics)
        check_known("numerics profile", profile, NUMERICS)
        if profile == self.numerics:
            return
        counted = f"the number of processes is a whole number from 2 on, as in {profile}{WORLD}2"
        self.require(world_of(self.numerics) > 1, "numerics", counted)
        self.require(
            "compiled" not in profile,
            "numerics",
            "what processes exchange within a step cannot be compiled; leave out compiled_, or the "
            "world",
        )

    def _check_schedule(self) -> None:
        if self.milestone_steps:
            self.require(self.gamma is not None, "milestone_steps", "milestones need --gamma")
            self.require(
                self.lr_schedule == "milestones",
                "milestone_steps",
                f"they belong to --lr_schedule=milestones, not {self.lr_schedule}",
            )
        if self.gamma is not None:
            self.require(self.gamma > 0, "gamma", "it must be positive")
            self.require(bool(self.milestone_steps), "gamma", "it needs --milestone_steps")
        self.require(
            self.optimizer_name == "sgd" or not (self.momentum or self.nesterov_momentum),
            "momentum" if self.momentum else "nesterov_momentum",
            "only sgd has it: give 0; adam has adam_beta1",
        )
        self.require(
            self.lr_schedule != "one_cycle" or self.warmup_steps is None,
            "warmup_steps",
            "one_cycle has a warm-up of its own, one_cycle_warmup_fraction",
        )


@dataclass(frozen=True, kw_only=True)
class RunOptions(Hparams):
    """How a run is recorded: nothing here changes its results."""

    weight_save_steps: tuple[Step, ...] = steps_field()
    """Also save the weights at these steps: 1000it,5ep. The first and last are always saved."""

    checkpoint_every: Step | None = optional_step_field()
    """How often to save what resuming needs: 1ep, 500it. By default after epochs, when ten seconds
    have passed."""

    evaluate_only_at_end: bool = False
    """Evaluate at the end of training alone, not after every epoch."""

    evaluate_on: tuple[str, ...] = ("test", "validation")
    """What to evaluate on: any of test, validation (where there is one), train."""

    top_k: tuple[int, ...] = ()
    """Also measure the top-k accuracy, for each of these k: 3,5."""

    sinks: tuple[str, ...] = ()
    """Also pass on what is measured to other tools, which the run never waits for: tensorboard,
    wandb (offline). Their files are in the folders of these names in the run's directory."""

    def check(self) -> None:
        """Refuse unknown splits and sinks, and k below 1."""
        for sink in self.sinks:
            check_known("sink", sink, SINKS)
        for split in self.evaluate_on:
            check_known("split", split, SPLITS)
        self.require(all(k >= 1 for k in self.top_k), "top_k", "each k must be at least 1")
        every = self.checkpoint_every
        self.require(
            every is None or bool(every.epoch or every.iteration),
            "checkpoint_every",
            "it must be at least one iteration",
        )
