"""What ``--dry_run`` says: what would run, how far, and what is done already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches.run import is_there
from commands.text import table
from foundations.run_directory import RunState
from sweeps.goals import goals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from branches.run import Job
    from foundations.run_directory import RunDirectory
    from foundations.steps import Step
    from foundations.store import Store
    from sweeps.goals import Goal


HEADS = ("run", "replicate", "plan", "directory")


def plan(jobs: Iterable[Job], steps: Sequence[Step], store: Store) -> str:
    """What would run and what is done already, parents first.

    Args:
        jobs: The runs that are asked for.
        steps: The states of them that are to be saved.
        store: The runs there are.
    """
    return table(HEADS, [_row(goal, store) for goal in goals(jobs, steps, store)])


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
