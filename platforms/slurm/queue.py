"""What Slurm says of this user's jobs: those that wait and run, and those that ended of late.

Only ``squeue`` is asked: what it tells needs no accounting to be set up, and it remembers a job for
some minutes after its end (the cluster's MinJobAge).
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from foundations.errors import OpenPruneError

_ENDED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)
"""States that a job does not leave by itself. While it is being ended it is COMPLETING."""

_ORDINARY = frozenset(
    {
        "BeginTime",
        "Cleaning",
        "Dependency",
        "JobArrayTaskLimit",
        "Licenses",
        "None",
        "Priority",
        "Prolog",
        "Resources",
    }
)
"""Why jobs wait that begin when it is their turn."""

_COMMAND = ("squeue", "--me", "--noheader", "--array", "--states=all", "--format=%j|%K|%F|%T|%r")
"""Name, index in the array, number of the array, state, reason of the state."""

_TIMEOUT_S = 120.0


class QueueError(OpenPruneError):
    """Slurm does not answer."""


@dataclass(frozen=True)
class Entry:
    """A task of a job array, as Slurm sees it.

    Args:
        job: ``12_3``: the number of the array and the index in it.
        state: ``PENDING``.
        reason: Why it is in this state; ``None`` where there is nothing to say.
    """

    job: str
    state: str
    reason: str

    @property
    def has_ended(self) -> bool:
        """Whether it does not run again by itself."""
        return self.state in _ENDED

    @property
    def is_orphaned(self) -> bool:
        """Whether it never ran because what it waited for did not end well."""
        return self.reason == "DependencyNeverSatisfied"

    @property
    def is_held(self) -> bool:
        """Whether it waits for more than its turn: perhaps until somebody steps in."""
        return self.state == "PENDING" and self.reason not in _ORDINARY


Queue = dict[tuple[str, int], Entry]
"""By the name of the array and the index in it."""


def look() -> Queue:
    """All of this user's job arrays.

    Raises:
        QueueError: Slurm does not answer.
    """
    try:
        told = subprocess.run(  # noqa: S603 - Slurm's program, and nothing of the user's
            _COMMAND, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise QueueError(f"Slurm does not answer: {error}.") from error
    if told.returncode:
        raise QueueError(f"Slurm does not answer: {told.stderr.strip()}.")
    return read(told.stdout)


def read(text: str) -> Queue:
    """What the lines of ``squeue`` say; jobs that are not in an array are passed over."""
    found: Queue = {}
    for line in text.splitlines():
        name, index, array, state, reason = line.rsplit("|", 4)
        if index.isdecimal():
            found[name, int(index)] = Entry(f"{array}_{index}", state, reason)
    return found
