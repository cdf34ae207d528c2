"""Who begins when: parents before branches, siblings side by side, each run once.

The truth is in the runs' directories: what a crew says of the end of a task makes the schedule look
there again. So a sweep needs no memory of its own: the same one, begun again or twice at once, sees
what is done, what others are at, and what is left.
"""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import begins, recipe_of
from foundations.errors import OpenPruneError
from foundations.run_directory import LOG, Fact, RunState
from platforms.crew import Outcome, Task
from platforms.stop import Stop
from sweeps.errand import note_failure
from sweeps.goals import ask_for, both, is_met, needs
from sweeps.standing import Blocked, Failure, Standing, Unobserved
from training.world import world_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from foundations.run_directory import RunDirectory
    from foundations.steps import Step
    from foundations.store import Store
    from platforms.crew import Crew, Ended
    from sweeps.goals import Goal
    from sweeps.standing import Observer

LOSSES = 3
"""How often a run may be lost with its worker before it counts as failed."""

_POLL_S, _POLL_MOST_S = 0.2, 2.0
"""How long the crew is listened to before the directories are looked at again: the longer, the
longer that look takes. A task that ends is heard of at once."""

_SHARE = 20.0
"""How much longer it is not looked than looking takes: the cores are for training."""


def carry_out(
    goals: Iterable[Goal],
    crew: Crew,
    store: Store,
    *,
    again: bool = False,
    stop: Stop | None = None,
    observer: Observer | None = None,
) -> Standing:
    """Have a crew do what is missing, until nothing is left that can be done.

    Args:
        goals: What is wanted, parents first, as ``sweeps.goals.goals`` gives it.
        crew: Who does it; closed by the caller.
        store: The runs there are.
        again: Try those again that failed before.
        stop: Tells when to stop: everybody is asked to, and waited for. What a cluster has been
            given, it keeps.
        observer: Who is told how it goes on.
    """
    schedule = _Schedule(goals, crew, store, observer or Unobserved())
    schedule.look_through(again=again)
    return schedule.run(stop or Stop())


class _Is(enum.Enum):
    """How a goal stands."""

    WAITING = "waiting"
    WORKING = "working"
    ELSEWHERE = "elsewhere"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"


class _Schedule:
    """What is known of each goal, by the name of its run."""

    def __init__(self, goals: Iterable[Goal], crew: Crew, store: Store, observer: Observer) -> None:
        self._goals = {goal.run: goal for goal in _in_order(list(goals), store)}
        self._is = dict.fromkeys(self._goals, _Is.WAITING)
        self._crew, self._store, self._observer = crew, store, observer
        self._reasons: dict[str, str] = {}
        self._blockers: dict[str, str] = {}
        self._losses: dict[str, int] = {}
        self._again: set[str] = set()
        self._met: dict[tuple[str, tuple[Step, ...], bool], bool] = {}

    def look_through(self, *, again: bool) -> None:
        """See what is done, and what failed, before anybody is asked for anything."""
        for run in self._goals:
            if again and self._state(run) is RunState.FAILED:
                self._again.add(run)
            self._settle(run)
            if self._is[run] is _Is.DONE:
                self._check(run)

    def run(self, stop: Stop) -> Standing:
        """Hand out what can begin, and see what becomes of it, until nothing is left."""
        self._observer.look(self._standing(None))
        while stop.requested is None:
            began = time.monotonic()
            if not self._hand_out():
                break
            looked = time.monotonic() - began
            self._see(patience_s=min(max(_POLL_S, _SHARE * looked), _POLL_MOST_S))
        if stop.requested is not None and self._crew.free() is not None:
            self._crew.stop()
            while self._all(_Is.WORKING):
                self._see(stopping=stop.requested)
        return self._standing(stop.requested)

    def _hand_out(self) -> bool:
        """Give the crew what can begin; whether there is anything to wait for."""
        free = self._crew.free()
        waiting = self._all(_Is.WAITING)
        tasks: list[Task] = []
        for run in waiting:
            if free is not None and len(tasks) >= free:
                break
            self._settle(run)
            if self._is[run] is _Is.WAITING and (task := self._task(run)) is not None:
                tasks.append(task)
                self._is[run] = _Is.WORKING
        self._crew.submit(tasks)
        for task in tasks:
            self._observer.begun(self._goals[task.run])
        if self._all(_Is.WORKING) or self._all(_Is.ELSEWHERE):
            return True
        return self._all(_Is.WAITING) != waiting  # something was settled: others may go on

    def _see(self, patience_s: float = _POLL_S, stopping: str | None = None) -> None:
        """Wait a little, and note what has ended, here and elsewhere."""
        news = self._crew.ended(patience_s)
        self._met.clear()
        for ended in news:
            self._note(ended, stopping)
        for run in self._all(_Is.ELSEWHERE):
            self._settle(run)
        self._observer.look(self._standing(stopping))

    def _settle(self, run: str) -> None:
        """See in its directory how a goal stands that the crew does not have."""
        try:
            self._is[run] = self._seen(run)
        except OpenPruneError as error:  # damage to one run stops no other
            self._fail(run, str(error))

    def _check(self, run: str) -> None:
        """See that what is done is what it is taken for: its directory says what it is."""
        try:
            self._directory(run).description(KINDS)
        except OpenPruneError as error:
            self._fail(run, str(error))

    def _seen(self, run: str) -> _Is:
        goal, directory = self._goals[run], self._directory(run)
        if is_met(goal, self._store):
            return _Is.DONE
        state = self._state(run)
        if state is RunState.RUNNING and self._crew.free() is not None:
            ask_for(goal, directory)
            return _Is.ELSEWHERE
        if state is RunState.FAILED and run not in self._again:
            self._reasons[run] = directory.failure() or "the reason is not known."
            return _Is.FAILED
        return self._awaited(goal)

    def _awaited(self, goal: Goal) -> _Is:
        """Whether what a goal needs of others can still come."""
        for need in self._unmet(goal):
            if self._is[need.run] in {_Is.FAILED, _Is.BLOCKED}:
                self._blockers[goal.run] = self._blockers.get(need.run, need.run)
                return _Is.BLOCKED
            if self._is[need.run] is _Is.DONE:  # it is known only now what is needed
                self._goals[need.run] = both(self._goals[need.run], need)
                self._is[need.run] = _Is.WAITING
        return _Is.WAITING

    def _task(self, run: str) -> Task | None:
        """What the crew is to be told, if the run can begin; its directory is made."""
        goal, directory = self._goals[run], self._directory(run)
        try:
            unmet = list(self._unmet(goal))
            if unmet and self._crew.free() is not None:
                return None
            directory.prepare(goal.description, KINDS)
            directory.remove_fact(Fact.FAILED)
        except OpenPruneError as error:
            self._fail(run, str(error))
            return None
        self._again.discard(run)
        after = tuple(dict.fromkeys(need.run for need in unmet if not _is_first(need)))
        processes = world_of(recipe_of(goal.description).training.numerics)
        return Task(run, goal.steps, goal.whole, processes, after)

    def _note(self, ended: Ended, stopping: str | None) -> None:
        """What becomes of a goal whose task has ended."""
        run, outcome = ended.task.run, ended.outcome
        self._is[run] = _Is.WAITING
        if outcome is Outcome.FAILED:
            self._fail(run, ended.reason)
        else:
            self._settle(run)
            # One that others stopped, or have, goes on later: that says nothing against it.
            undone = self._is[run] is _Is.WAITING and outcome is not Outcome.STOPPED
            if undone and stopping is None:
                self._lose(run, ended.reason or "what was asked for is not there")
        self._observer.ended(self._goals[run], outcome, ended.reason)

    def _lose(self, run: str, reason: str) -> None:
        """Count that a run came back undone; one that does so too often has failed."""
        self._losses[run] = self._losses.get(run, 0) + 1
        if self._losses[run] >= LOSSES:
            self._fail(run, f"Its worker died {LOSSES} times: {reason}.")
            note_failure(self._directory(run), self._reasons[run])

    def _fail(self, run: str, reason: str) -> None:
        self._is[run], self._reasons[run] = _Is.FAILED, reason

    def _unmet(self, goal: Goal) -> Iterator[Goal]:
        """What a goal needs of others that is not there yet."""
        return (need for need in needs(goal, self._store) if not self._is_met(need))

    def _is_met(self, need: Goal) -> bool:
        """Whether it is there, by one look for all that wait for the same."""
        key = need.run, need.steps, need.whole
        if key not in self._met:
            self._met[key] = is_met(need, self._store)
        return self._met[key]

    def _standing(self, stopped: str | None) -> Standing:
        root = self._store.root
        return Standing(
            done=self._group(_Is.DONE),
            working=self._group(_Is.WORKING),
            elsewhere=self._group(_Is.ELSEWHERE),
            waiting=self._group(_Is.WAITING),
            failed=tuple(
                Failure(self._goals[run], self._reasons[run], root / run / LOG)
                for run in self._all(_Is.FAILED)
            ),
            blocked=tuple(
                Blocked(self._goals[run], self._goals[self._blockers[run]])
                for run in self._all(_Is.BLOCKED)
            ),
            stopped=stopped,
        )

    def _all(self, how: _Is) -> list[str]:
        return [run for run, found in self._is.items() if found is how]

    def _group(self, how: _Is) -> tuple[Goal, ...]:
        return tuple(self._goals[run] for run in self._all(how))

    def _directory(self, run: str) -> RunDirectory:
        goal = self._goals[run]
        return self._store.run(goal.description, goal.replicate)

    def _state(self, run: str) -> RunState:
        directory = self._directory(run)
        return directory.state if directory.path.is_dir() else RunState.NEW


def _in_order(goals: Sequence[Goal], store: Store) -> list[Goal]:
    """Those first on which the longest chains of others wait; parents, then, before branches.

    A chain that is begun last is what everybody waits for in the end, with one worker at it.
    """
    behind = dict.fromkeys((goal.run for goal in goals), 0)
    for goal in reversed(goals):
        for need in needs(goal, store):
            behind[need.run] = max(behind.get(need.run, 0), behind[goal.run] + 1)
    return sorted(goals, key=lambda goal: -behind[goal.run])


def _is_first(need: Goal) -> bool:
    """Whether nothing but the first state of a run is needed, which is made without training."""
    return not need.whole and set(need.steps) == {begins(need.description)}
