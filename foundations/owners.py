"""Who holds a claim, and is that process still alive?

On the owner's own machine the process table answers. From any other machine only the heartbeat
does: the owner touches a file, and the file system's own clock says how long ago that was.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from foundations.hparams import Json

_PROC = Path("/proc")
_SAME_START_S = 1.0
"""Two readings of one process's start differ by less, where they are made from the wall clock."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that holds a claim, as it wrote itself down, and whether it lives.

    Args:
        token: What tells this claim from every other, of the same process too.
        host: The name of its host.
        machine: What tells its table of processes from others: boot and pid namespace.
        pid: Its process.
        started: When the process started, in seconds; only to be compared on its machine.
        alive: Whether it was alive when it was looked at.
    """

    token: str
    host: str
    machine: str
    pid: int
    started: float
    alive: bool = True

    @classmethod
    def me(cls) -> Owner:
        """This process, with a token of its own."""
        pid = os.getpid()
        started = _process_start(pid)
        return cls(
            token=secrets.token_hex(16),
            host=socket.gethostname(),
            machine=_machine(),
            pid=pid,
            started=0.0 if started is None else started,
        )

    @classmethod
    def from_json(cls, data: Json) -> Owner:
        """The owner that ``to_json`` wrote; a stranger where it was damaged."""
        kinds = {"token": str, "host": str, "machine": str, "pid": int, "started": float}
        if not isinstance(data, dict) or not all(
            isinstance(data.get(name), kind) for name, kind in kinds.items()
        ):
            return cls(token="", host="(unknown)", machine="", pid=0, started=0.0)
        return cls(**{name: data[name] for name in kinds})

    def to_json(self) -> Json:
        """What is written down: all but whether it lives."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "alive"}

    def seen(self, is_silent: Callable[[], bool]) -> Owner:
        """The owner, with what can be known now about its life.

        Args:
            is_silent: Whether its heartbeat has stopped; asked where nothing better is known.
        """
        here = self.host == socket.gethostname() and self.machine == _machine()
        alive = _runs_here(self.pid, self.started) if here else None
        return dataclasses.replace(self, alive=not is_silent() if alive is None else alive)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def now_of(directory: Path) -> float:
    """The time by the clock of the file system that holds ``directory``, in seconds.

    It is the wall clock's where no file can be made there.
    """
    probe = directory / f".{secrets.token_hex(8)}.part"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _machine() -> str:
    """The boot and the pid namespace, as far as the operating system tells them."""
    boot, namespace = "", 0
    with contextlib.suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    with contextlib.suppress(OSError):
        namespace = (_PROC / "self/ns/pid").stat().st_ino
    return f"{boot}/{namespace}"


def _runs_here(pid: int, started: float) -> bool | None:
    """Whether the process that started then still runs; None where the table does not show it."""
    now = _process_start(pid)
    if now is None and _is_hidden(pid):
        return None
    return now is not None and abs(now - started) < _SAME_START_S


def _is_hidden(pid: int) -> bool:
    """Whether another user's process is there, but not for us to see (``hidepid``)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _process_start(pid: int) -> float | None:
    """When a process started, in seconds; None where there is none, or only a zombie.

    Linux counts from the boot, which no change of the clock can shift.
    """
    if (_PROC / "self/stat").exists():
        return _linux_start(pid)
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _linux_start(pid: int) -> float | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZXx" else int(fields[19]) / os.sysconf("SC_CLK_TCK")
