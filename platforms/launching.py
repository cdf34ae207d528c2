"""How the processes that train a run together are started on this machine, where nobody did.

This does for one machine what ``torchrun`` does, and in the same words, so that a program cannot
tell one from the other. But what a run comes to is said by its first process: torchrun makes 1 of
every exit code, takes a refusal or a stop for a loss and begins again, and leaves a traceback of
its own behind.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from foundations.errors import INTERRUPTED, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from platforms.stop import Stop

LAUNCHER = "OPEN_PRUNE_LAUNCHER"
"""The variable that holds the pid of who started a process, which then ends with it."""

RESTARTS = 3
"""How often all begin again, from the last checkpoint, when one of them is lost."""

_POLL_S = 0.1
_GRACE_S = 60.0
"""How long the others may take to end when one has ended."""


def launch(
    command: Sequence[str], size: int, *, log: Path, stop: Stop, say: Callable[[str], None]
) -> int:
    """Have so many processes carry out a command together.

    Args:
        command: A program and its arguments, the same for all.
        size: How many processes.
        log: Where standard error goes, and what others than the first print.
        stop: When it is asked to stop, they are.
        say: Told when one is lost, and all begin again.

    Returns:
        The exit code of the first process.

    Raises:
        RunFailedError: Again and again one of them was lost.
    """
    for _ in range(1 + RESTARTS):
        codes = _carried_out(command, size, log, stop)
        if not _lost(codes) or stop.requested is not None:
            return INTERRUPTED if _lost(codes) else codes[0]
        say(f"One of {size} processes is lost (exit codes {codes}): they begin again.")
    raise RunFailedError(
        f"One of its {size} processes was lost {1 + RESTARTS} times. {log} has what they said."
    )


def _lost(codes: Sequence[int]) -> bool:
    """Whether a process ended otherwise than by the word of the first."""
    first, *others = codes
    return first < 0 or (first == INTERRUPTED and any(others))


def _carried_out(command: Sequence[str], size: int, log: Path, stop: Stop) -> list[int]:
    """The exit codes, by rank."""
    with log.open("ab") as file, _started(command, size, file) as processes:
        told, ended = False, None
        while any(process.poll() is None for process in processes):
            if stop.requested is not None and not told:
                told = True
                for process in processes:
                    with suppress(ProcessLookupError):
                        process.send_signal(signal.SIGTERM)
            if ended is None and any(process.poll() is not None for process in processes):
                ended = time.monotonic()
            if ended is not None and time.monotonic() - ended > _GRACE_S:
                _kill(processes)
            time.sleep(_POLL_S)
        return [process.wait() for process in processes]


@contextmanager
def _started(
    command: Sequence[str], size: int, log: IO[bytes]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes, in sessions of their own: Ctrl-C is for who started them."""
    port = _free_port()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(size):
            process = subprocess.Popen(  # noqa: S603 - this program itself
                command,
                stdin=subprocess.DEVNULL,
                stdout=log if rank else None,
                stderr=log,
                start_new_session=True,
                env=os.environ | _environ(rank, size, port),
            )
            processes.append(process)
        yield processes
    finally:
        _kill(processes)


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that have not ended."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def _environ(rank: int, size: int, port: int) -> dict[str, str]:
    """What torchrun would say to a process."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        LAUNCHER: str(os.getpid()),
    }


def _free_port() -> int:
    """A port that nobody listens on; should somebody else take it first, all begin again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
