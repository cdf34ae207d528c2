"""A run that several processes of this machine train together, started by torchrun for it alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from foundations.errors import OpenPruneError
from foundations.run_directory import LOG, Fact, RunDirectory
from platforms.crew import PROGRAM, Ended, Outcome
from platforms.local.worker import death, kill_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from platforms.crew import Task

_RESTARTS = 3
"""How often all begin again from the last checkpoint when one of them is lost."""

_LAST_WORDS_S = 3.0
"""How long a run that failed has for what it says in its log."""


class Together:
    """Several processes that carry out one task.

    Args:
        task: The run, and how many processes.
        flags: What they are told.
        environ: Their environment.
        root: Where runs are kept.
    """

    def __init__(
        self, task: Task, flags: Sequence[str], environ: Mapping[str, str], root: Path
    ) -> None:
        self._task, self._path = task, root / task.run
        self._failed_at: float | None = None
        with (self._path / LOG).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this program itself
                [*torchrun(task.processes), PROGRAM, *task.words(), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environ,
            )

    def ended(self) -> Ended | None:
        """How it has ended, as the run's directory tells; None while they are at work."""
        code = self._process.poll()
        if code is None:
            if not self._has_failed_for_good():
                return None
            self.kill()
            code = self._process.wait()
        if code == 0:
            return Ended(self._task, Outcome.DONE)
        reason = self._failure()
        if reason is not None:
            return Ended(self._task, Outcome.FAILED, reason)
        return Ended(self._task, Outcome.LOST, death(code))

    def ask_to_stop(self) -> None:
        """Ask them to save and stop; torchrun passes it on."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill all of them."""
        kill_all(self._process)

    def _has_failed_for_good(self) -> bool:
        """Whether the run failed a while ago: torchrun would begin it again, which is no use."""
        if not (self._path / Fact.FAILED.value).exists():
            self._failed_at = None
        elif self._failed_at is None:
            self._failed_at = time.monotonic()
        return self._failed_at is not None and time.monotonic() - self._failed_at > _LAST_WORDS_S

    def _failure(self) -> str | None:
        """Why the run failed, if it did."""
        replicate = int(self._path.name.rpartition("_")[2])
        with suppress(OpenPruneError):
            failed = RunDirectory(self._path, replicate).fact(Fact.FAILED)
            return None if failed is None else str(failed["reason"])
        return f"{self._path / Fact.FAILED.value} is damaged"


def torchrun(processes: int) -> list[str]:
    """The command that starts so many processes of a program on this machine."""
    counts = (f"--nproc_per_node={processes}", f"--max-restarts={_RESTARTS}")
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", *counts]
