"""What is wanted of runs, and what these need of others: the graph that a schedule follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branches.base import branch_of, recipe_in, start_decides_training
from branches.claiming import is_there
from foundations.description import BranchDesc
from foundations.run_directory import Fact
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from branches.run import Job
    from foundations.description import Description, RunRef
    from foundations.run_directory import RunDirectory
    from foundations.store import Store


@dataclass(frozen=True)
class Goal:
    """What is wanted of a run: some of its states, and with ``whole`` its end."""

    description: Description
    replicate: int
    steps: tuple[Step, ...] = ()
    whole: bool = False

    @property
    def run(self) -> str:
        """Which run: ``NAME/replicate_R``."""
        return f"{self.description.name}/replicate_{self.replicate}"


def goals(jobs: Iterable[Job], steps: Sequence[Step], store: Store) -> list[Goal]:
    """What is wanted of which runs so that these jobs can be done: each run once, parents first.

    Args:
        jobs: The runs that are asked for.
        steps: The states of them that are to be saved.
        store: The runs there are.
    """
    found: dict[tuple[str, int], Goal] = {}
    for job in jobs:
        _add(Goal(job.description, job.replicate, tuple(steps), whole=True), found, store)
    return list(found.values())


def needs(goal: Goal, store: Store) -> Iterator[Goal]:
    """What is wanted of the runs that a run begins from, unless it has begun, or all along."""
    directory = store.run(goal.description, goal.replicate)
    begun = (directory.path / Fact.START.value).exists()  # damage to it is told by who needs it
    if isinstance(goal.description, BranchDesc):
        branch, parent = branch_of(goal.description), goal.description.parent
        needed = branch.companions(parent) if begun else branch.asks(parent)
        yield from (_asked(ref, goal.replicate, store) for ref in needed)


def is_met(goal: Goal, store: Store) -> bool:
    """Whether what is wanted of a run is there.

    States that the run cannot have, before its beginning or past its end, do not count: who needs
    one is told so when it begins, and the run is none the worse.
    """
    directory = store.run(goal.description, goal.replicate)
    steps = _possible(goal, directory)
    return steps is not None and is_there(directory, steps, whole=goal.whole)


def ask_for(goal: Goal, directory: RunDirectory) -> None:
    """Tell whoever trains a run now which of its states are waited for."""
    directory.ask_for(_possible(goal, directory) or ())


def both(one: Goal, other: Goal) -> Goal:
    """What two want of the same run."""
    steps = tuple(dict.fromkeys(one.steps + other.steps))
    return Goal(one.description, one.replicate, steps, one.whole or other.whole)


def _possible(goal: Goal, directory: RunDirectory) -> list[Step] | None:
    """The states that are wanted of a run and that it can have; None before it has begun."""
    start = directory.start() if directory.path.is_dir() else None
    if start is None:
        return None
    per_epoch = start["iterations_per_epoch"]
    wanted = sorted({step.iterations(per_epoch) for step in goal.steps})
    within = (at for at in wanted if start["iteration"] <= at <= start["end"])
    return [Step.at(at, per_epoch) for at in within]


def _add(goal: Goal, found: dict[tuple[str, int], Goal], store: Store) -> None:
    """Add what is wanted of a run, behind what it needs of others; that is asked once a run."""
    key = goal.description.name, goal.replicate
    if key not in found:
        for needed in needs(goal, store):
            _add(needed, found, store)
    found[key] = both(found[key], goal) if key in found else goal


def _asked(ref: RunRef, replicate: int, store: Store) -> Goal:
    """What is wanted of a run that is referred to."""
    number = replicate if ref.replicate is None else ref.replicate
    if ref.step is not None:
        return Goal(ref.description, number, (ref.step,))
    directory = store.run(ref.description, number)
    if start_decides_training(ref.description) and directory.fact(Fact.START) is None:
        return Goal(ref.description, number, whole=True)
    end = recipe_in(directory, ref.description).training.training_steps
    return Goal(ref.description, number, (end,))
