"""What ``--dry_run`` says: what would run, how far, and what is done already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branches.base import branch_of, recipe_in, start_decides_training
from branches.run import is_there
from commands.text import table
from foundations.description import BranchDesc
from foundations.run_directory import Fact, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from branches.run import Job
    from foundations.description import Description, RunRef
    from foundations.run_directory import RunDirectory
    from foundations.steps import Step
    from foundations.store import Store


HEADS = ("run", "replicate", "plan", "directory")


@dataclass(frozen=True)
class Goal:
    """What is wanted of a run: some of its states, and with ``whole`` its end."""

    description: Description
    replicate: int
    steps: tuple[Step, ...] = ()
    whole: bool = False


def plan(jobs: Iterable[Job], steps: Sequence[Step], store: Store) -> str:
    """What would run and what is done already, parents first.

    Args:
        jobs: The runs that are asked for.
        steps: The states of them that are to be saved.
        store: The runs there are.
    """
    goals: dict[tuple[str, int], Goal] = {}
    for job in jobs:
        _add(Goal(job.description, job.replicate, tuple(steps), whole=True), goals, store)
    return table(HEADS, [_row(goal, store) for goal in goals.values()])


def _add(goal: Goal, goals: dict[tuple[str, int], Goal], store: Store) -> None:
    """Add what is wanted of a run, behind what it needs of others; that is asked once a run."""
    key = goal.description.name, goal.replicate
    if key not in goals:
        for needed in _needed(goal, store):
            _add(needed, goals, store)
    goals[key] = _both(goals[key], goal) if key in goals else goal


def _needed(goal: Goal, store: Store) -> Iterator[Goal]:
    """What is wanted of the runs that a run begins from, unless it has begun, or all along."""
    directory = store.run(goal.description, goal.replicate)
    begun = directory.path.is_dir() and directory.fact(Fact.START) is not None
    if isinstance(goal.description, BranchDesc):
        branch, parent = branch_of(goal.description), goal.description.parent
        needed = branch.companions(parent) if begun else branch.asks(parent)
        yield from (_asked(ref, goal.replicate, store) for ref in needed)


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


def _row(goal: Goal, store: Store) -> tuple[str, ...]:
    directory = store.run(goal.description, goal.replicate)
    number, place = str(goal.replicate), str(directory.path)
    return directory.name, number, _intent(goal, directory), place


def _intent(goal: Goal, directory: RunDirectory) -> str:
    state = directory.state if directory.path.is_dir() else RunState.NEW
    if state is not RunState.NEW and is_there(directory, goal.steps, whole=goal.whole):
        return "done already" if state is RunState.DONE else "has what is needed"
    steps = ", ".join(map(str, goal.steps))
    if state is RunState.DONE:
        return f"would make its states again: {steps}"
    if state is RunState.RUNNING:
        return "running elsewhere: would wait for it"
    verb = {RunState.NEW: "start", RunState.FAILED: "try again"}.get(state, "continue")
    return f"would {verb}, to {'its end' if goal.whole else steps}"
