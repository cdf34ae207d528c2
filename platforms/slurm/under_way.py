"""Which runs below a root have a job in the queue, whoever submitted it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from platforms.slurm import arrays, queue

if TYPE_CHECKING:
    from pathlib import Path

    from platforms.crew import Task


@dataclass(frozen=True)
class Job:
    """A task that is under way, and where it stands in the queue."""

    task: Task
    array: str
    index: int
    number: str
    """``12_3``"""


def under_way(root: Path, now: queue.Queue) -> dict[str, Job]:
    """The jobs of the runs below a root that wait or run, by ``NAME/replicate_R``.

    Args:
        root: Where runs are kept.
        now: What is in the queue.
    """
    found: dict[str, Job] = {}
    known = {name: arrays.read(root, name) for name in dict.fromkeys(name for name, _ in now)}
    for (name, index), entry in now.items():
        array = known[name]
        if array is not None and not entry.has_ended and not entry.is_orphaned:
            task = array.tasks[index]
            found[task.run] = Job(task, name, index, entry.job)
    return found


def told(root: Path) -> dict[str, str]:
    """What the queue says of the runs below a root: ``job 12_3 is pending (Resources)``.

    Raises:
        QueueError: Slurm does not answer.
    """
    now = queue.look()
    jobs = under_way(root, now)
    return {run: _said(now[job.array, job.index]) for run, job in jobs.items()}


def _said(entry: queue.Entry) -> str:
    reason = "" if entry.reason == "None" else f" ({entry.reason})"
    return f"job {entry.job} is {entry.state.lower()}{reason}"
