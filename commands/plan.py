"""What ``--dry_run`` says: what would run, how far, what is done already, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.text import brief, counts, duration, table
from foundations.run_directory import RunState
from sweeps.cost import cost
from sweeps.goals import goals as goals_of
from sweeps.survey import Status, counted, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from branches.run import Job
    from foundations.steps import Step
    from foundations.store import Store
    from sweeps.cost import Cost
    from sweeps.goals import Goal
    from sweeps.survey import Row


HEADS = ("run", "replicate", "plan", "directory")
_STUCK = {Status.FAILED, Status.BLOCKED, Status.DAMAGED}


def plan(
    jobs: Iterable[Job],
    steps: Sequence[Step],
    store: Store,
    *,
    retry: bool = True,
    workers: int | None = 1,
) -> str:
    """What would run and what is done already, parents first.

    Where several runs are wanted, they are counted, and it is said what the missing ones cost.

    Args:
        jobs: The runs that are asked for.
        steps: The states of them that are to be saved.
        store: The runs there are.
        retry: Whether runs that failed would be tried again.
        workers: How many runs would be under way at once; None: nobody knows.
    """
    goals = goals_of(jobs, steps, store)
    rows = survey(goals, store)
    lines = [_row(goal, row, retry=retry) for goal, row in zip(goals, rows, strict=True)]
    said = [table(HEADS, lines)]
    if len(goals) > 1:
        to_do = [
            goal
            for goal, row in zip(goals, rows, strict=True)
            if row.status is not Status.DONE and (retry or row.status not in _STUCK)
        ]
        said += ["", f"{len(rows):,} runs: {counts(counted(rows))}"]
        said += [in_words(cost(to_do, store), workers)] if to_do else []
    return "\n".join(said)


def in_words(cost: Cost, workers: int | None = 1) -> str:
    """What the missing runs cost, to one worker and to as many as there are (None: unknown)."""
    if not cost.known:
        return f"estimated: unknown, for nothing comparable was timed ({_runs(cost.unknown)})"
    said = f"estimated for {_runs(cost.known)}: {duration(cost.seconds)} of one worker"
    if workers is None:
        said += f", at least {duration(cost.shared_by(None))} with any number"
    elif workers > 1:
        said += f", {duration(cost.shared_by(workers))} with {workers} workers"
    if cost.unknown:
        said += f"; unknown for {_runs(cost.unknown)}: nothing comparable was timed"
    return said


def _runs(number: int) -> str:
    return f"{number:,} run" if number == 1 else f"{number:,} runs"


def _row(goal: Goal, row: Row, *, retry: bool) -> tuple[str, ...]:
    directory = row.directory
    said = _stuck(row) if row.status in _STUCK and not retry else _intent(goal, row)
    return directory.name, str(goal.replicate), said, str(directory.path)


def _stuck(row: Row) -> str:
    """Why a run would not be tried again."""
    if row.status is Status.BLOCKED:
        return f"cannot begin: {' and '.join(row.others)} failed"
    return f"{row.status.value}: {brief(row.reason)}"


def _intent(goal: Goal, row: Row) -> str:
    """What would become of a run."""
    steps = ", ".join(map(str, goal.steps))
    is_complete = row.directory.path.is_dir() and row.directory.state is RunState.DONE
    if row.status is Status.DONE:
        return "done already" if is_complete else "has what is needed"
    if row.status is Status.RUNNING:
        return "running elsewhere: would wait for it"
    if row.status is Status.DAMAGED:
        return _stuck(row)
    if is_complete:
        return f"would make its states again: {steps}"
    verb = "start" if row.fraction is None else "continue"
    verb = "try again" if row.status is Status.FAILED else verb
    return f"would {verb}, to {'its end' if goal.whole else steps}"
