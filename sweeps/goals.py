"""What is wanted of runs, and what these need of others: the graph that a schedule follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branches.base import branch_of, recipe_in, start_decides_training
from foundations.description import BranchDesc
from foundations.run_directory import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from branches.run import Job
    from foundations.description import Description, RunRef
    from foundations.steps import Step
    from foundations.store import Store


@dataclass(frozen=True)
class Goal:
    """What is wanted of a run: some of its states, and with ``whole`` its end."""

    description: Description
    replicate: int
    steps: tuple[Step, ...] = ()
    whole: bool = False


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
    begun = directory.path.is_dir() and directory.fact(Fact.START) is not None
    if isinstance(goal.description, BranchDesc):
        branch, parent = branch_of(goal.description), goal.description.parent
        needed = branch.companions(parent) if begun else branch.asks(parent)
        yield from (_asked(ref, goal.replicate, store) for ref in needed)


def _add(goal: Goal, found: dict[tuple[str, int], Goal], store: Store) -> None:
    """Add what is wanted of a run, behind what it needs of others; that is asked once a run."""
    key = goal.description.name, goal.replicate
    if key not in found:
        for needed in needs(goal, store):
            _add(needed, found, store)
    found[key] = _both(found[key], goal) if key in found else goal


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


def _both(one: Goal, other: Goal) -> Goal:
    steps = tuple(dict.fromkeys(one.steps + other.steps))
    return Goal(one.description, one.replicate, steps, one.whole or other.whole)
