"""Crews that the tests play themselves, and small sweeps for them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from branches.run import Job
from foundations.description import BranchDesc
from foundations.run_directory import RunDirectory
from foundations.store import Store
from platforms.crew import Ended, Outcome
from sweeps import schedule
from sweeps.errand import carried_out, outcome_of
from sweeps.goals import goals
from tests.branches.runs import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from branches.base import Branch
    from foundations.description import Description
    from foundations.steps import Step
    from platforms.crew import Task
    from platforms.stop import Stop
    from sweeps.goals import Goal
    from sweeps.standing import Standing

BROKEN = {"lr": 1e38, "momentum": 0.9}
"""With these the loss of ``dense()`` is not finite."""


@dataclass
class Here:
    """Carries out one task whenever it is asked what has ended, in this process.

    Args:
        root: Where runs are kept.
        room: How many tasks it takes; None is a cluster, which takes all.
        deeds: What is done with a run in place of carrying it out, each once, in order.
    """

    root: Path
    room: int | None = 1
    deeds: dict[str, list[Callable[[Task], Ended | None]]] = field(default_factory=dict)
    told: list[Task] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    stopped: bool = False
    _tasks: list[Task] = field(default_factory=list)

    def free(self) -> int | None:
        """The room that is left."""
        return None if self.room is None else self.room - len(self._tasks)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Note them."""
        self.batches += [len(tasks)] if tasks else []
        self.told += tasks
        self._tasks += tasks

    def ended(self, timeout_s: float) -> list[Ended]:  # noqa: ARG002 - the interface's
        """What became of the first task, if that is over."""
        if not self._tasks:
            return []
        task = self._tasks.pop(0)
        deeds = self.deeds.get(task.run)
        ended = deeds.pop(0)(task) if deeds else self.carry_out(task)
        self._tasks += [] if ended else [task]
        return [ended] if ended else []

    def carry_out(self, task: Task) -> Ended:
        """Really do it."""
        name, _, number = task.run.rpartition("/replicate_")
        directory = RunDirectory(self.root / name / f"replicate_{number}", int(number))
        own = context(self.root)
        own = replace(own, options=replace(own.options, weight_save_steps=task.steps))
        outcome = outcome_of(carried_out(directory, own, whole=task.whole, patient=False))
        return Ended(task, outcome, directory.failure() or "")

    def stop(self) -> None:
        """What is left is stopped."""
        self.stopped = True
        for task in self._tasks:
            self.deeds[task.run] = [lambda task: Ended(task, Outcome.STOPPED)]

    def close(self) -> None:
        """Nothing."""


def lost(task: Task) -> Ended:
    """A deed: the worker dies."""
    return Ended(task, Outcome.LOST, "it was killed by SIGKILL")


def on(parent: Description, made: Branch) -> BranchDesc:
    """A branch of a run."""
    return BranchDesc(parent=parent, branch=made)


def wanted(
    root: Path, descriptions: Iterable[Description], steps: Sequence[Step] = (), replicate: int = 1
) -> list[Goal]:
    """The goals of these runs."""
    return goals([Job(made, replicate) for made in descriptions], steps, Store(root))


def swept(
    crew: Here, asked: Iterable[Goal], *, again: bool = False, stop: Stop | None = None
) -> Standing:
    """How a sweep with this crew ends."""
    return schedule.carry_out(asked, crew, Store(crew.root), again=again, stop=stop)


def names(found: Iterable[Goal]) -> list[str]:
    """The runs of goals, without their replicates."""
    return [goal.description.name for goal in found]
