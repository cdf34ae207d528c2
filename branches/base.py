"""What a branch is: one function, from hyperparameters and the states it asks for to a start."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self, cast

from branches import KINDS
from foundations.description import BranchDesc, BranchHparams, Description, RunRef, decode
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from training.description import TrainDesc
from training.imported import ImportDesc
from training.openlth import OpenLthDesc
from training.overrides import Restating

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foundations.run_directory import RunDirectory
    from pruning.hparams import PruningHparams
    from training.course import Course
    from training.setting import Setting
    from training.start import Start
    from training.state import State
    from training.step import Objective


@dataclass(frozen=True, kw_only=True)
class Branch(BranchHparams):
    """Base of all branches. A new one states its ``kind``, ``asks`` and ``start``.

    Its fields become flags, its docstring the help of the command, and both its name and its
    directory follow from them.
    """

    prunes: ClassVar[bool] = False
    """Whether it puts a mask on a network that had none."""

    @property
    def start_decides_training(self) -> bool:
        """Whether the training hyperparameters follow from states: then the start has them."""
        return False

    def taught_by(self, parent: Description) -> Description:
        """The run whose recipe ``recipe`` is given: by default the parent."""
        return parent

    def recipe(self, parent: TrainDesc) -> TrainDesc:
        """The data and training by which the branch trains on: its parent's, by default."""
        return parent

    @abstractmethod
    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The states that this branch needs, each with its step; they are made if missing."""

    @abstractmethod
    def start(
        self,
        parent: Description,
        states: Sequence[State],
        setting: Setting,
    ) -> Start:
        """What training begins from.

        Args:
            parent: What the branch grows on.
            states: The states asked for, in that order.
            setting: The recipe of this run, its replicate, its data and where to compute.
        """

    def pinned(self, data_root: Path, workers: int = 0) -> Self:  # noqa: ARG002 - the interface's
        """The same with checksums of image folders that it names filled in; it names none."""
        return self

    def check_fit(self, states: Sequence[State], setting: Setting) -> None:
        """Refuse states that ``start`` cannot take: by default, those of other networks.

        Raises:
            UserError: Names what does not fit.
        """
        for state in states:
            setting.check_fits(state.weights)

    def companions(self, parent: Description) -> tuple[RunRef, ...]:  # noqa: ARG002 - the interface's
        """States that are needed all through training, not at its start alone."""
        return ()

    def objective(
        self,
        parent: Description,  # noqa: ARG002 - the interface's
        companions: Sequence[State],  # noqa: ARG002 - the interface's
        setting: Setting,  # noqa: ARG002 - the interface's
    ) -> Objective | None:
        """What training minimizes; by default, None, the loss of the recipe.

        Args:
            parent: What the branch grows on.
            companions: The states of ``companions``, in that order.
            setting: As for ``start``.
        """
        return None

    def course(
        self,
        parent: Description,  # noqa: ARG002 - the interface's
        start: State,  # noqa: ARG002 - the interface's
        companions: Sequence[State],  # noqa: ARG002 - the interface's
        setting: Setting,  # noqa: ARG002 - the interface's
    ) -> Course | None:
        """How the state changes while it trains; by default, None, by updates alone.

        Args:
            parent: What the branch grows on.
            start: The state in which training begins.
            companions: The states of ``companions``, in that order.
            setting: As for ``start``.
        """
        return None

    def begins(self, parent: Description) -> Step:  # noqa: ARG002 - the interface's
        """Where the schedule of the branch begins: by default at its beginning."""
        return Step()

    def masked(self, parent: Description) -> Step | None:
        """The step at which the run has the mask that it ends with; None is its end."""
        return self.begins(parent)

    def origin(self, parent: Description) -> RunRef:
        """The state that the values of its weights come from, before anything was pruned.

        A random mask is put on these values: by default those of the dense run that the parent
        came from, at the step at which the branch begins.

        Raises:
            UserError: There is no such state.
        """
        return dense_at(RunRef(parent, step=self.begins(parent)))

    def pruning(self, parent: Description) -> PruningHparams | None:
        """How the mask of the run was made: by default as its parent's, None without one."""
        return pruning_of(parent)


def begins(description: Description) -> Step:
    """The step at which a run begins to train."""
    if isinstance(description, BranchDesc):
        return branch_of(description).begins(description.parent)
    return description.step if isinstance(description, ImportDesc | OpenLthDesc) else Step()


def origin(description: Description) -> RunRef:
    """The state, dense, that the values of a run's first weights come from."""
    if isinstance(description, BranchDesc) and is_pruned(description):
        return branch_of(description).origin(description.parent)
    return RunRef(description, step=begins(description))


def is_pruned(description: Description) -> bool:
    """Whether a run has a mask: whether it, or a run that it grew on, prunes."""
    if not isinstance(description, BranchDesc):
        return False
    return branch_of(description).prunes or is_pruned(description.parent)


def pruning_of(description: Description) -> PruningHparams | None:
    """How the mask of a run was made; None where it has none."""
    if isinstance(description, BranchDesc):
        return branch_of(description).pruning(description.parent)
    return None


def dense_at(run: RunRef) -> RunRef:
    """The dense state that stands for a state of a run, which may be pruned.

    For the first state of the run, the one that its values came from; for the last one, the end of
    that dense run, which may be longer or shorter; for any other, its same step.
    """
    source = origin(run.description)
    replicate = run.replicate if source.replicate is None else source.replicate
    if run.step == begins(run.description):
        return RunRef(source.description, replicate, source.step)
    ends = is_pruned(run.description) and run.step == _end(run.description)
    return RunRef(source.description, replicate, None if ends else run.step)


def _end(description: Description) -> Step:
    return recipe_of(description).training.training_steps


def lineage(description: Description) -> list[Description]:
    """A run's ancestors, the oldest first, and the run."""
    line = [description]
    while isinstance(line[0], BranchDesc):
        line.insert(0, line[0].parent)
    return line


def dense_ancestor(description: Description) -> Description:
    """The nearest run in a lineage that is not pruned: the run itself, if it is not."""
    while isinstance(description, BranchDesc) and is_pruned(description):
        description = description.parent
    return description


def branch_of(description: BranchDesc) -> Branch:
    """What is done to the parent's states."""
    if not isinstance(description.branch, Branch):
        raise TypeError(f"{type(description.branch).__name__} is no Branch.")
    return description.branch


def start_decides_training(description: Description) -> bool:
    """Whether it is known only once a run has begun how it trains, and where it ends."""
    return isinstance(description, BranchDesc) and branch_of(description).start_decides_training


def recipe_in(directory: RunDirectory, description: Description) -> TrainDesc:
    """The recipe by which the run in this directory trains, its start's where that decides it."""
    recipe = recipe_of(description)
    if not start_decides_training(description) or (start := directory.fact(Fact.START)) is None:
        return recipe
    written = cast("TrainDesc", decode(start.get("recipe"), KINDS))
    return replace(recipe, training=written.training)


def check_length(description: Description) -> None:
    """Refuse a branch that would take the length of its training from a run that has none to give.

    What such a run says of itself is not what its start has made of it, so the branch would train
    for another time than its parent, without a word.

    Raises:
        UserError: Names the parent, and what can be done.
    """
    if not isinstance(description, BranchDesc):
        return
    branch = branch_of(description)
    if not start_decides_training(branch.taught_by(description.parent)):
        return
    stated = isinstance(branch, Restating) and "training_steps" in branch.given()
    if not branch.start_decides_training and not stated:
        raise UserError(
            f"How long {description.parent.name} trains is known from its start alone, so "
            f"{branch.kind} cannot take it over. Branches that state --..._training_steps can grow "
            "on it (finetune, retrain, distill), and so can scratch, with --as_dense."
        )


def recipe_of(description: Description) -> TrainDesc:
    """The data and training hyperparameters by which a run trains, as far as it says so itself."""
    if isinstance(description, BranchDesc):
        branch = branch_of(description)
        return branch.recipe(recipe_of(branch.taught_by(description.parent)))
    if isinstance(description, TrainDesc):
        return description.recipe
    raise TypeError(f"A {type(description).__name__} has no recipe to train by.")
