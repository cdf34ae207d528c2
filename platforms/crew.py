"""How runs are handed to other processes, on this machine or on a cluster: by their names alone.

What a run is stands in its directory; what it comes to is left there. So all that another process
is told is ``open_prune.py run NAME/replicate_R`` with a few flags, and the directory is the truth
about how that went: what a crew says of the end of a task is news, not a record.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from foundations.steps import Step
from platforms.fingerprint import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = str(PROJECT / "open_prune.py")
"""What carries a task out, given its ``words()`` and flags."""


@dataclass(frozen=True)
class Task:
    """A run that another process is to carry out.

    Args:
        run: ``NAME/replicate_R``; its directory has its ``hparams.json``.
        steps: The states that others wait for, or that are to be kept.
        whole: Whether it is to be trained to its end, not only as far as ``steps``.
        processes: How many processes train it together.
        after: The tasks, by ``run``, that have to end well before this one can begin. A crew that
            is given only what can begin need not look at it.
    """

    run: str
    steps: tuple[Step, ...] = ()
    whole: bool = True
    processes: int = 1
    after: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """What ``open_prune.py`` is told to carry it out."""
        steps = [f"--steps={','.join(map(str, self.steps))}"] if self.steps else []
        return ["run", self.run, *steps, *([] if self.whole else ["--part"])]

    def to_json(self) -> dict[str, object]:
        """Which run it is, and how far it goes."""
        return {"run": self.run, "steps": list(map(str, self.steps)), "whole": self.whole}

    @classmethod
    def from_json(cls, told: dict[str, object]) -> Self:
        """The task that ``to_json`` wrote."""
        steps = told["steps"]
        if not isinstance(steps, list):
            raise TypeError(f"The steps of a task are a list: {steps!r}.")
        return cls(str(told["run"]), tuple(map(Step.parse, steps)), whole=bool(told["whole"]))


class Outcome(enum.Enum):
    """How a task ended."""

    DONE = "done"
    FAILED = "failed"
    """It will fail again: the run's ``failed.json`` has the reason."""
    STOPPED = "stopped"
    """It was asked to stop, and can be continued."""
    LOST = "lost"
    """Whoever worked on it is gone: killed, or his machine is. Another can take it over."""


@dataclass(frozen=True)
class Ended:
    """A task that has ended, how, and in a line why, where it did not end well."""

    task: Task
    outcome: Outcome
    reason: str = ""


class Crew(Protocol):
    """Those who carry out tasks; made by a platform, and to be closed."""

    def free(self) -> int | None:
        """How many tasks it takes now; None: any number, and it heeds ``Task.after`` itself."""

    def submit(self, tasks: Sequence[Task]) -> None:
        """Have these carried out. Of equal tasks that are under way already, nothing happens."""

    def ended(self, timeout_s: float) -> list[Ended]:
        """What has ended since this was asked last; waits so long for the first."""

    def stop(self) -> None:
        """Ask everybody to save and stop; ``ended`` tells when they have."""

    def close(self) -> None:
        """Let everybody go. A cluster goes on with what it has."""
