"""What a branch is: one function, from hyperparameters and the states it asks for to a start."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundations.description import BranchDesc, BranchHparams, Description, RunRef
from foundations.steps import Step
from training.description import TrainDesc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
class Branch(BranchHparams):
    """Base of all branches. A new one states its ``kind``, ``asks`` and ``start``.

    Its fields become flags, its docstring the help of the command, and both its name and its
    directory follow from them.
    """

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

    def begins(self, parent: Description) -> Step:  # noqa: ARG002 - the interface's
        """Where the schedule of the branch begins: by default at its beginning."""
        return Step()

    def origin(self, parent: Description) -> RunRef:
        """The state that the values of its weights come from, before anything was pruned.

        A random mask is put on these values: by default those of the oldest ancestor at the step
        at which the branch begins.
        """
        return RunRef(oldest(parent), step=self.begins(parent))


def begins(description: Description) -> Step:
    """The step at which a run begins to train."""
    if isinstance(description, BranchDesc):
        return branch_of(description).begins(description.parent)
    return Step()


def origin(description: Description) -> RunRef:
    """The state, dense, that the values of a run's first weights come from."""
    if isinstance(description, BranchDesc):
        return branch_of(description).origin(description.parent)
    return RunRef(description, step=begins(description))


def oldest(description: Description) -> Description:
    """The run at the beginning of a lineage, which grew on no other."""
    while isinstance(description, BranchDesc):
        description = description.parent
    return description


def branch_of(description: BranchDesc) -> Branch:
    """What is done to the parent's states."""
    if not isinstance(description.branch, Branch):
        raise TypeError(f"{type(description.branch).__name__} is no Branch.")
    return description.branch


def recipe_of(description: Description) -> TrainDesc:
    """The data and training hyperparameters by which a run trains."""
    if isinstance(description, BranchDesc):
        return branch_of(description).recipe(recipe_of(description.parent))
    if isinstance(description, TrainDesc):
        return description.recipe
    raise TypeError(f"A {type(description).__name__} has no recipe to train by.")
