"""Descriptions that are small, local to these tests, and have every sort of field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from foundations.description import (
    BranchDesc,
    BranchHparams,
    Description,
    RunRef,
    run_ref_field,
    run_refs_field,
)
from foundations.hparams import (
    Hparams,
    not_hashed,
    optional_step_field,
    required_step_field,
    step_field,
    steps_field,
)
from foundations.registry import Registry
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class ModelExample(Hparams):
    """A model."""

    name: str = "lenet"
    """Which architecture."""

    widths: tuple[int, ...] = (300, 100)
    """Units of each hidden layer."""

    bias: bool = True
    """Whether layers have one."""

    def versions(self) -> Mapping[str, int]:
        """The architecture ``remade`` has changed once."""
        return {self.name: 2 if self.name == "remade" else 1}


@dataclass(frozen=True, kw_only=True)
class TrainingExample(Hparams):
    """A way to train."""

    lr: float = 0.1
    """Learning rate."""

    steps: Step = step_field(Step(40))
    """How long."""

    milestones: tuple[Step, ...] = steps_field()
    """When the learning rate falls."""

    warm_up: Step | None = optional_step_field()
    """Until when it rises."""

    clip: float | None = None
    """The largest norm of a gradient."""

    seed: int | None = None
    """Of the order of the data."""

    workers: int = not_hashed(0)
    """How many processes load data."""

    def check(self) -> None:
        """Refuse a learning rate that is not positive."""
        self.require(self.lr > 0, "lr", "it must be greater than 0")


@dataclass(frozen=True, kw_only=True)
class TrainExample(Description):
    """A training job."""

    model: ModelExample = ModelExample()
    """The model."""

    training: TrainingExample = TrainingExample()
    """The training."""

    @property
    def kind(self) -> str:
        """Its name on the command line."""
        return "train"

    def runs(self) -> tuple[RunRef, ...]:
        """It needs no other run."""
        return ()


@dataclass(frozen=True, kw_only=True)
class PruneExample(BranchHparams):
    """A branch that prunes."""

    kind: ClassVar[str] = "prune"

    fraction: float = 0.8
    """How much is pruned."""

    strategy: str = "magnitude"
    """How it is chosen."""

    state_step: Step = step_field(Step(0))
    """Which state of the parent."""

    teacher: RunRef | None = run_ref_field()
    """Whom to learn from."""

    judges: tuple[RunRef, ...] = run_refs_field()
    """Whose opinions are averaged."""


@dataclass(frozen=True, kw_only=True)
class RewindExample(BranchHparams):
    """A branch with a required field."""

    kind: ClassVar[str] = "rewind"

    to: Step = required_step_field()
    """Which state the weights come from."""


KINDS: Registry[Any] = Registry(
    "kind of run", {"train": TrainExample, "prune": PruneExample, "rewind": RewindExample}
)


def judged() -> BranchDesc:
    """A branch with three judges, the last of which branches from a branch and has judges too."""
    dense = TrainExample()
    pruned = BranchDesc(parent=dense, branch=PruneExample(judges=(RunRef(dense, 4),)))
    deep = BranchDesc(parent=pruned, branch=PruneExample(judges=(RunRef(pruned), RunRef(dense))))
    judges = (RunRef(dense, 1, Step(3)), RunRef(dense, 2, Step(3)), RunRef(deep))
    return BranchDesc(parent=pruned, branch=PruneExample(teacher=RunRef(dense), judges=judges))


def three_deep() -> BranchDesc:
    """A branch of a branch of a branch, with a teacher that is a branch too."""
    dense = TrainExample(training=TrainingExample(milestones=(Step(20), Step(30, 5))))
    pruned = BranchDesc(parent=dense, branch=PruneExample(fraction=0.5))
    rewound = BranchDesc(parent=pruned, branch=RewindExample(to=Step(1, 3)))
    teacher = RunRef(BranchDesc(parent=dense, branch=PruneExample()), 2, Step(0, 7))
    return BranchDesc(parent=rewound, branch=PruneExample(teacher=teacher, strategy="random"))
