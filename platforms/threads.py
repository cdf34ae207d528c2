"""How the CPU's cores are shared among the working processes of this project on a machine.

Each announces itself by an empty file in a folder of the user's, named after its pid and its start
time. A file whose process is gone, or whose pid has another process by now, says nothing any more,
so a killed process needs no cleaning up. The folder is advice about speed: a run is right without.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import tempfile
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

_FILE = re.compile(r"(?P<pid>\d+)_(?P<started>\d+\.\d+)_[0-9a-f]+")
_CLOCK_SLACK = 10.0
"""Seconds by which a start time may seem to move, because the system's clock was set."""

# A thread that waits for its part of the next operation spins, then sleeps. Spinning steals a core
# from others, sleeping costs a wake-up at each of an operation's hundreds of parts. Measured on two
# virtual cores of an AMD EPYC (Zen 4), torch 2.15, batch 128, steps per second of all processes
# together, medians of 3 to 6 windows of 0.5 s (LeNet-300-100) or 1.2 s (ResNet-20) in which nothing
# else used more than 0.2 cores:
#
#   processes x threads       GNU default   PASSIVE   spin 1000   spin 3000   spin 10000
#   LeNet-300-100  1 x 2          551         237        363         447         575
#                  2 x 1          731         655        782         756         690
#                  1 x 2 + 1 x 1  377         682        593         482         431
#                  2 x 2          112         545        413         245         127
#   ResNet-20      1 x 2          2.7         2.7        3.0         2.5         2.8
#                  2 x 1          2.9         2.7        3.0         3.1         3.0
#                  1 x 2 + 1 x 1  2.2         2.9        2.9         2.8         3.0
#                  2 x 2          1.0         2.8        3.1         2.7         2.2
#
# The factor of 5 is lost where processes that each take all cores spin (2 x 2, default), which fair
# shares prevent. Never spinning (OMP_WAIT_POLICY=PASSIVE) costs a lone LeNet more than half. So a
# lone process spins 10000 times, which costs it nothing, and leaves more to one that comes later
# (1 x 2 + 1 x 1: 1.1 and 1.3 times the default together; the LeNet that was there first runs at 90
# steps per second and the second at 341, by default at 124 and 253). A process that finds others at
# work spins ten times shorter, close to PASSIVE where cores are short. One with a single thread
# does not wait at all: what differs in 2 x 1 is noise, about a tenth.
SPINS_ALONE = "10000"
SPINS_CROWDED = "1000"


@contextmanager
def announce(folder: Path | None = None) -> Iterator[None]:
    """Be counted as a working process within this context, which may be entered again within.

    To be entered as early as possible, before torch is imported: two processes that begin at once
    then both count two. Where nothing can be written the process works uncounted.

    Args:
        folder: Where to; by default that of this user on this machine.
    """
    file = (folder or presence()) / f"{os.getpid()}_{_started(os.getpid()):.2f}_{uuid.uuid4().hex}"
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch()
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()


@contextmanager
def withdrawn(folder: Path | None = None) -> Iterator[None]:
    """Within this context the process waits and does not work: it is not counted."""
    files: list[Path] = []
    with suppress(OSError):
        files = list((folder or presence()).glob(f"{os.getpid()}_*"))
    hidden = [(file, file.with_name(f".{file.name}")) for file in files]
    for file, aside in hidden:
        with suppress(OSError):
            file.rename(aside)
    try:
        yield
    finally:
        for file, aside in hidden:
            with suppress(OSError):
                aside.rename(file)


def workers(folder: Path | None = None, *, with_self: bool = False) -> int:
    """How many processes are working now.

    Args:
        folder: Where they are announced; by default in that of this user on this machine.
        with_self: Count the calling process even if it has not announced itself.
    """
    pids = {os.getpid()} if with_self else set()
    with suppress(OSError):
        for file in (folder or presence()).iterdir():
            match = _FILE.fullmatch(file.name.removeprefix("."))
            if match is None:
                continue
            if not _lives(int(match["pid"]), float(match["started"])):
                file.unlink(missing_ok=True)
            elif match.string == file.name:
                pids.add(int(match["pid"]))
    return len(pids)


def share(cores: int, workers: int) -> int:
    """The threads of each of so many processes on so many cores, at least 1."""
    return max(1, cores // max(1, workers))


def presence() -> Path:
    """The folder in which this user's processes on this machine announce themselves.

    It has the machine's name, for a temporary directory may be shared by machines or containers,
    whose pids mean nothing here.
    """
    return Path(tempfile.gettempdir()) / f"open_prune-{_user()}-{platform.node() or 'here'}"


def _user() -> str:
    """The user: by number, or by name where there are no numbers (Windows)."""
    return str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()


def _started(pid: int) -> float:
    return psutil.Process(pid).create_time()


def _lives(pid: int, started: float) -> bool:
    """Whether the process that announced itself with this pid and start time still runs."""
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(_started(pid) - started) < _CLOCK_SLACK
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def configure_threads(environ: MutableMapping[str, str], *, workers: int = 1) -> None:
    """Choose how long idle threads spin before they sleep, before torch is imported.

    A choice of the user's, by either variable, stands.

    Args:
        environ: The environment of this process, which is changed.
        workers: How many processes are working, with this one.
    """
    if "OMP_WAIT_POLICY" not in environ and "GOMP_SPINCOUNT" not in environ:
        environ["GOMP_SPINCOUNT"] = SPINS_CROWDED if workers > 1 else SPINS_ALONE
