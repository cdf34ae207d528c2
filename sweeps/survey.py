"""How far many runs are: which are done, who works on which, what waits for what, what failed.

All is read from the run directories, without torch: it is as true as they are, whoever works there.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from branches import KINDS
from foundations.claims import owner_of
from foundations.errors import OpenPruneError
from foundations.plugins import AbsentPluginError
from foundations.run_directory import RunState
from sweeps.goals import Goal, is_met, needs
from training.provenance import sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foundations.owners import Owner
    from foundations.run_directory import RunDirectory
    from foundations.store import Store


class Status(enum.Enum):
    """Where a run stands."""

    DONE = "done"
    """It has all that is wanted of it, its end or some states."""
    RUNNING = "running"
    FAILED = "failed"
    BLOCKED = "blocked"
    """A run that it needs has failed."""
    WAITING = "waiting"
    """Runs that it needs are not that far."""
    INTERRUPTED = "interrupted"
    """It was begun, nobody works on it, and it can go on."""
    MISSING = "missing"
    """It can begin; or it is done, and states of it are to be made again."""
    PARTIAL = "as far as needed"
    """It stopped at a state that was asked for, which was all that was; its end is not there."""
    DAMAGED = "damaged"
    """Its directory cannot be read."""


@dataclass(frozen=True)
class Row:
    """Where one run stands.

    Args:
        directory: The run's.
        status: Where it stands.
        fraction: How much of what is wanted lies behind it, in [0, 1]; None before it has begun.
        seconds_left: Until it has what is wanted, at its own pace; None where that is not known.
        owner: Who works on it.
        others: The runs that it waits for, or those that failed and block it, by name.
        reason: Why it failed, or cannot be read.
        queued: What the queue of a cluster says of it.
    """

    directory: RunDirectory
    status: Status
    fraction: float | None = None
    seconds_left: float | None = None
    owner: Owner | None = None
    others: tuple[str, ...] = ()
    reason: str = ""
    queued: str = ""

    @property
    def run(self) -> str:
        """The run as commands take it: ``NAME/replicate_R``."""
        return f"{self.directory.name}/{self.directory.path.name}"


def survey(goals: Sequence[Goal], store: Store) -> list[Row]:
    """Where each of these stands, in their order.

    Args:
        goals: What is wanted of which runs, each run once.
        store: The runs there are.
    """
    return _Survey(goals, store).rows()


def survey_of_runs(runs: Iterable[RunDirectory], store: Store) -> list[Row]:
    """Where each of these runs stands, where the end of each is what is wanted.

    Of a complete run nothing is read but that it is complete.
    """
    runs = list(runs)
    goals: dict[RunDirectory, Goal] = {}
    rows: dict[RunDirectory, Row] = {}
    for run in runs:
        try:
            if run.state is RunState.DONE:
                rows[run] = Row(run, Status.DONE, 1.0)
            else:
                goals[run] = Goal(run.description(KINDS), run.replicate, whole=True)
        except OpenPruneError as error:
            rows[run] = _unreadable(run, error)
    looked_at = zip(goals, survey(list(goals.values()), store), strict=True)
    rows |= {run: _perhaps_partial(row) for run, row in looked_at}
    return [rows[run] for run in runs]


def with_queue(rows: Iterable[Row], queued: Mapping[str, str]) -> list[Row]:
    """The same, with what a queue says of those that are not done, by ``NAME/replicate_R``."""
    return [
        row if row.status is Status.DONE else replace(row, queued=queued.get(row.run, ""))
        for row in rows
    ]


def counted(rows: Iterable[Row]) -> dict[Status, int]:
    """How many runs stand where, in the order of the statuses; none that are 0."""
    counts = Counter(row.status for row in rows)
    return {status: counts[status] for status in Status if counts[status]}


def reached(directory: RunDirectory) -> int:
    """The last iteration that a run that has begun is known to have come to."""
    start = directory.start()
    if start is None:
        return 0
    per_epoch, saved = start["iterations_per_epoch"], directory.checkpointed()
    known = [row.iteration for row in directory.digests()]
    return max([int(start["iteration"]), *known, *(at.iterations(per_epoch) for at in saved)])


class _Survey:
    """One look at some runs: each directory is looked at once."""

    def __init__(self, goals: Sequence[Goal], store: Store) -> None:
        self.goals, self.store = goals, store
        self._wanted = {(goal.description.name, goal.replicate): goal for goal in goals}
        self._found: dict[tuple[str, int], Row] = {}

    def rows(self) -> list[Row]:
        return [self._row(goal) for goal in self.goals]

    def _row(self, goal: Goal) -> Row:
        key = goal.description.name, goal.replicate
        if key not in self._found:
            directory = self.store.run(goal.description, goal.replicate)
            try:
                self._found[key] = self._looked_at(self._wanted.get(key, goal), directory)
            except OpenPruneError as error:
                self._found[key] = _unreadable(directory, error)
        return self._found[key]

    def _looked_at(self, goal: Goal, directory: RunDirectory) -> Row:
        # The state first: a run that is finished between the two looks is done, not missing.
        state = directory.state if directory.path.is_dir() else RunState.NEW
        if is_met(goal, self.store):
            return Row(directory, Status.DONE, 1.0)
        if state is not RunState.NEW:
            directory.description(KINDS)  # what was edited, or copied here, will be refused
        if state is RunState.FAILED:
            reason = directory.failure() or ""
            return Row(directory, Status.FAILED, _fraction(directory, goal), reason=reason)
        if state is RunState.RUNNING:
            return _running(directory, goal)
        return self._not_under_way(directory, goal, begun=state is RunState.INTERRUPTED)

    def _not_under_way(self, directory: RunDirectory, goal: Goal, *, begun: bool) -> Row:
        """A run that nobody works on, and why not."""
        fraction = _fraction(directory, goal) if begun else None
        lacking = [needed for needed in needs(goal, self.store) if not self._is_met(needed)]
        waits_for = [self._row(needed) for needed in lacking]
        if failed := _unique(other for row in waits_for for other in _failures(row)):
            return Row(directory, Status.BLOCKED, fraction, others=failed)
        if waits_for:
            others = _unique(row.run for row in waits_for)
            return Row(directory, Status.WAITING, fraction, others=others)
        return Row(directory, Status.INTERRUPTED if begun else Status.MISSING, fraction)

    def _is_met(self, needed: Goal) -> bool:
        """Whether it is there; where that cannot be read, its own row tells why."""
        try:
            return is_met(needed, self.store)
        except OpenPruneError:
            return False


def _failures(row: Row) -> tuple[str, ...]:
    """The runs that have failed, where this one stands in the way of others."""
    if row.status in {Status.FAILED, Status.DAMAGED}:
        return (row.run,)
    return row.others if row.status is Status.BLOCKED else ()


def _running(directory: RunDirectory, goal: Goal) -> Row:
    return Row(
        directory,
        Status.RUNNING,
        _fraction(directory, goal),
        _seconds_left(directory, goal),
        owner_of(directory.path),
    )


def _unreadable(directory: RunDirectory, error: OpenPruneError) -> Row:
    """A run that needs a plugin stands where its directory says; another one is damaged."""
    if not isinstance(error, AbsentPluginError):
        return Row(directory, Status.DAMAGED, reason=str(error))
    status = _BY_STATE[directory.state]
    return Row(directory, status, owner=owner_of(directory.path), reason=error.advice)


def _perhaps_partial(row: Row) -> Row:
    """An interrupted run that stands at a state that was asked for was not interrupted."""
    if row.status is not Status.INTERRUPTED or owner_of(row.directory.path) is not None:
        return row
    recorded = sessions(row.directory)
    if recorded and recorded[-1].get("stopped"):
        return row
    stands_at = row.directory.checkpointed()
    partial = stands_at and stands_at[-1] in row.directory.states()
    return replace(row, status=Status.PARTIAL) if partial else row


def end_of(directory: RunDirectory, goal: Goal) -> int | None:
    """The iteration at which a run has what is wanted of it; None before it has begun."""
    start = directory.start()
    if start is None:
        return None
    if goal.whole:
        return int(start["end"])
    per_epoch = start["iterations_per_epoch"]
    return max((step.iterations(per_epoch) for step in goal.steps), default=int(start["iteration"]))


def _fraction(directory: RunDirectory, goal: Goal) -> float | None:
    end = end_of(directory, goal)
    return None if end is None else min(1.0, reached(directory) / max(1, end))


def _seconds_left(directory: RunDirectory, goal: Goal) -> float | None:
    """At the pace of the session under way, counted from when that was last heard of."""
    recorded, end = sessions(directory), end_of(directory, goal)
    if not recorded or end is None or not recorded[-1].get("iterations"):
        return None
    session = recorded[-1]
    pace = session["seconds"] / session["iterations"]
    silent = (datetime.now(UTC) - datetime.fromisoformat(session["seen"])).total_seconds()
    return max(0.0, float(pace) * (end - reached(directory)) - max(0.0, silent))


def _unique(runs: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(runs))


_BY_STATE = {
    RunState.NEW: Status.MISSING,
    RunState.RUNNING: Status.RUNNING,
    RunState.INTERRUPTED: Status.INTERRUPTED,
    RunState.FAILED: Status.FAILED,
    RunState.DONE: Status.DONE,
}
