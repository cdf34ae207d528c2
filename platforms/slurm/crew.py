"""How runs become jobs of Slurm, and what becomes of these.

All is submitted at once, and Slurm decides when what begins: runs that wait for the same parents
are one job array, which depends on theirs. So whoever submits need not stay; who comes later finds
what is in the queue, and does not submit it again.

The truth is the run's directory. What Slurm says tells when to look there, and what happened to a
job that left nothing: it was cancelled, its node died, its time was over.

A node that dies holds its runs' claims for two minutes more (``foundations.claims``). Slurm itself
takes longer than that to believe it, so nobody waits for a dead claim.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from foundations.errors import OpenPruneError, UserError
from foundations.files import write_text
from foundations.run_directory import RunDirectory, RunState
from platforms.crew import Ended, Outcome
from platforms.slurm import queue, script, submission
from platforms.slurm.arrays import Array
from platforms.slurm.under_way import Job, under_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from platforms.crew import Task
    from platforms.slurm.platform import Slurm

_PATIENCE_S = 1800.0
"""For how long Slurm may leave questions unanswered: clusters are restarted, and jobs live on."""


class SlurmCrew:
    """Submits runs as job arrays, and tells how they ended.

    Args:
        platform: What the jobs are to have.
        flags: What each run is told besides.
    """

    def __init__(self, platform: Slurm, flags: Sequence[str]) -> None:
        self._platform, self._flags = platform, tuple(flags)
        self._root = platform.results_root()
        self._jobs: dict[str, Job] = {}
        self._later: list[Task] = []
        self._refused = False
        self._held: set[tuple[str, str]] = set()
        self._outcomes: dict[str, Outcome] = {}
        self._looked = self._answered = time.monotonic()
        self._stopping = False

    def free(self) -> int | None:
        """Any number: Slurm lets them wait."""
        return None

    def submit(self, tasks: Sequence[Task]) -> None:
        """Submit these, but for what is in the queue already.

        What Slurm does not take now, because it is away or has as many jobs of this user as he may
        have, is submitted later.

        Raises:
            UserError: Slurm refuses them, and there is nothing to wait for.
            OpenPruneError: Slurm does not answer, and never did.
        """
        if not tasks:
            return
        try:
            self._submit_all(tasks)
        except (queue.QueueError, UserError) as error:
            refused = isinstance(error, UserError)
            if not self._jobs and (refused or not self._outcomes):
                raise
            self._later += [task for task in tasks if task.run not in self._jobs]
            if refused and not self._refused:
                _say(f"{error}\n{len(self._later)} runs are submitted when others have ended.")
            self._refused = refused
        else:
            self._refused = False

    def _submit_all(self, tasks: Sequence[Task]) -> None:
        queued = under_way(self._root, queue.look())
        new: dict[tuple[tuple[str, ...], int], list[Task]] = defaultdict(list)
        for task in tasks:
            job = queued.get(task.run)
            if job is not None and _covers(job.task, task):
                self._jobs[task.run] = Job(task, job.array, job.index, job.number)
            else:
                new[task.after, task.processes].append(task)
        for group in new.values():  # parents before those who wait for them, as the tasks are
            for first in range(0, len(group), self._platform.array_size):
                self._submit(group[first : first + self._platform.array_size], queued)

    def ended(self, timeout_s: float) -> list[Ended]:
        """What has ended, parents first. After ``stop``, all the rest: it goes on by itself.

        Raises:
            OpenPruneError: Slurm has not answered for half an hour.
        """
        until = time.monotonic() + timeout_s
        while True:
            found = list(self._left()) if self._stopping else self._look()
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            time.sleep(min(left, self._platform.poll_s))

    def stop(self) -> None:
        """Stop watching. The jobs stay where they are."""
        self._stopping = True

    def close(self) -> None:
        """Leave the jobs to Slurm, and tell how they could be cancelled."""
        if self._jobs:
            arrays_left = dict.fromkeys(job.number.partition("_")[0] for job in self._jobs.values())
            words = f"{len(self._jobs)} jobs stay in the queue: 'scancel {' '.join(arrays_left)}'"
            _say(f"{words} cancels them.")
        if self._later:
            _say(f"{len(self._later)} runs are not submitted: the same command does that.")

    def _submit(self, tasks: Sequence[Task], queued: dict[str, Job]) -> None:
        """Submit an array of tasks that wait for the same.

        A parent that is not under way is done, or is carried out with the first who needs it.
        """
        array = Array.new(self._root, tasks)
        parents = [queued[run].number for run in tasks[0].after if run in queued]
        same = [queued[task.run].number for task in tasks if task.run in queued]
        waits = submission.dependency(parents, same)
        write_text(array.script, script.text(array, self._platform, self._flags, waits))
        try:
            number = submission.submit(array.script)
        except UserError:
            shutil.rmtree(array.folder)
            raise
        for index, task in enumerate(tasks):
            job = Job(task, array.name, index, f"{number}_{index}")
            queued[task.run] = self._jobs[task.run] = job
            self._outcomes.pop(task.run, None)

    def _look(self) -> list[Ended]:
        """What the queue and the directories say, if it is time to look again."""
        now = time.monotonic()
        if now - self._looked < self._platform.poll_s:
            return []
        self._looked = now
        try:
            entries = queue.look()
        except queue.QueueError:
            if now - self._answered > _PATIENCE_S:
                raise
            return []
        self._answered = now
        ended = list(self._ended(entries))
        self._tell_held(entries)
        if ended or not self._refused:
            later, self._later = self._later, []
            self.submit(later)
        return ended

    def _tell_held(self, entries: queue.Queue) -> None:
        """Tell of jobs that do not begin by themselves: of an array once, for each reason."""
        held: dict[tuple[str, str], list[Job]] = defaultdict(list)
        for job in self._jobs.values():
            entry = entries.get((job.array, job.index))
            if entry is not None and entry.is_held:
                held[job.array, entry.reason].append(job)
        for (array, reason), jobs in held.items():
            if (array, reason) not in self._held:
                first, others = jobs[0], len(jobs) - 1
                which = f"{first.task.run}{f' and {others} more' if others else ''}"
                more = f"'scontrol show job {first.number}' tells more"
                _say(f"Slurm does not begin {which}: {reason}. {more}.")
        self._held |= held.keys()

    def _ended(self, entries: queue.Queue) -> Iterator[Ended]:
        for job in list(self._jobs.values()):
            entry = entries.get((job.array, job.index))
            if entry is None or entry.has_ended or entry.is_orphaned:
                del self._jobs[job.task.run]
                ended = self._end(job, entry)
                self._outcomes[job.task.run] = ended.outcome
                yield ended

    def _end(self, job: Job, entry: queue.Entry | None) -> Ended:
        """How a job ended."""
        task, directory = job.task, self._directory(job.task)
        state = "" if entry is None else entry.state
        if state == "COMPLETED" or directory.state is RunState.DONE:
            return Ended(task, Outcome.DONE)
        if entry is not None and entry.is_orphaned:
            return Ended(task, self._orphaned(task), "what it waits for did not end well")
        if state == "CANCELLED":  # who did that does not want to see it in the queue again
            return Ended(task, Outcome.FAILED, f"its job {job.number} was cancelled")
        if (reason := _failure(directory)) is not None:
            return Ended(task, Outcome.FAILED, reason)
        how = f"ended as {state}" if state else "is gone from the queue"
        return Ended(task, Outcome.LOST, f"its job {job.number} {how}")

    def _orphaned(self, task: Task) -> Outcome:
        """What has become of a task whose parents' jobs did not end well: it goes with them."""
        parents = {self._outcomes.get(run) for run in task.after}
        return Outcome.STOPPED if parents & {Outcome.FAILED, Outcome.STOPPED} else Outcome.LOST

    def _left(self) -> Iterator[Ended]:
        """What is left to Slurm."""
        for job in self._jobs.values():
            reason = f"left to Slurm as job {job.number}; 'scancel {job.number}' cancels it"
            yield Ended(job.task, Outcome.STOPPED, reason)
        self._jobs.clear()

    def _directory(self, task: Task) -> RunDirectory:
        path = self._root / task.run
        return RunDirectory(path, int(path.name.removeprefix("replicate_")))


def _say(text: str) -> None:
    """Tell whoever waits, also where he wants to see no progress."""
    print(text, file=sys.stderr)  # noqa: T201 - it is for him


def _covers(one: Task, other: Task) -> bool:
    """Whether who carries out ``one`` has done all that ``other`` asks for."""
    return (one.whole or not other.whole) and set(other.steps) <= set(one.steps)


def _failure(directory: RunDirectory) -> str | None:
    """Why a run failed, if it did."""
    try:
        return directory.failure()
    except OpenPruneError as error:
        return str(error)
