"""A worker process that stays: it is told names of runs, and answers how each has ended.

``open_prune.py run --answers=N`` reads a task a line from its standard input, as JSON, and writes
an answer a line to file descriptor N, to which nothing else is ever printed. Importing torch costs
seconds, so the process is kept. It leaves when its standard input ends: with the one who tells it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import psutil

from platforms.crew import PROGRAM, Ended, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platforms.crew import Task

_LEAVING_S = 10.0
"""How long a worker who is let go may take to leave before he is killed."""


class Worker:
    """A worker process.

    Args:
        flags: What it is told for all its runs.
        environ: Its environment.
    """

    def __init__(self, flags: Sequence[str], environ: Mapping[str, str]) -> None:
        self._answers, theirs = os.pipe()
        os.set_blocking(self._answers, False)
        # A session of its own: Ctrl-C is for the one who tells it, and comes from him alone.
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            [sys.executable, PROGRAM, "run", f"--answers={theirs}", *flags],
            stdin=subprocess.PIPE,
            pass_fds=(theirs,),
            start_new_session=True,
            env=environ,
        )
        os.close(theirs)
        self._read = b""
        self._task: Task | None = None
        self.alive = True

    def fileno(self) -> int:
        """Where its answers come from."""
        return self._answers

    def begin(self, task: Task) -> None:
        """Have it carry out a task. Of one who is gone, ``ended`` tells it."""
        self._task = task
        with suppress(OSError):
            self._stdin.write(f"{json.dumps(task.to_json())}\n".encode())
            self._stdin.flush()

    def ended(self) -> Ended | None:
        """How its task has ended; None while it is at work, or has none."""
        if self._task is None:
            return None
        gone = self._process.poll() is not None  # first: what it said before is read then
        answer = self._answer()
        if answer is not None:
            task, self._task = self._task, None
            return Ended(task, Outcome(answer["outcome"]), answer["reason"])
        if not gone and self.alive:
            return None
        self.kill()
        task, self._task = self._task, None
        return Ended(task, Outcome.LOST, death(self._process.wait()))

    def ask_to_stop(self) -> None:
        """Ask it to save what it does, and stop."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def dismiss(self) -> None:
        """Let it go, once it has done what it does."""
        with suppress(OSError):
            self._stdin.close()

    def wait(self) -> None:
        """Wait until it has left."""
        try:
            self._process.wait(_LEAVING_S)
        except subprocess.TimeoutExpired:
            kill_all(self._process)
        self._close()

    def kill(self) -> None:
        """Kill it, and those that it has started."""
        kill_all(self._process)
        self._close()

    @property
    def _stdin(self) -> IO[bytes]:
        if self._process.stdin is None:
            raise TypeError("A worker is told its tasks on its standard input.")
        return self._process.stdin

    def _answer(self) -> dict[str, str] | None:
        """The answer, if it is there whole; at the end of the pipe, he is gone."""
        with suppress(BlockingIOError):
            while chunk := os.read(self._answers, 1 << 16):
                self._read += chunk
            self.alive = False
        line, newline, rest = self._read.partition(b"\n")
        if not newline:
            return None
        self._read = rest
        answer: dict[str, str] = json.loads(line)
        return answer

    def _close(self) -> None:
        """Give back what belongs to it here."""
        self.dismiss()
        if self._answers >= 0:
            os.close(self._answers)
        self._answers, self.alive = -1, False


def death(code: int) -> str:
    """What the exit code of a process that should have stayed says of its end."""
    if code >= 0:
        return f"it left with exit code {code}"
    return f"it was killed by {signal.Signals(-code).name}"


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it has started, whatever session they are in."""
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(process.pid)
        family = [*first.children(recursive=True), first]
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
