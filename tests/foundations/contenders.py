"""Processes that want the same claim."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from foundations.claims import Claim

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.owners import Owner


def contend(directory: Path, log: Path, rounds: int) -> None:
    """Wait for the start, then hold the claim so many times, and log each beginning and end."""
    while not (log.parent / "go").exists():
        time.sleep(0.001)
    for _ in range(rounds):
        claim = Claim.acquire(directory, wait=_wait)
        assert claim is not None
        with claim:
            _append(log, f"in {os.getpid()}\n")
            time.sleep(0.002)
            claim.check()
            _append(log, f"out {os.getpid()}\n")


def claim_and_die(directory: Path) -> None:
    """Take the claim and be killed."""
    assert Claim.acquire(directory) is not None
    os.kill(os.getpid(), signal.SIGKILL)


def claim_and_stay(directory: Path) -> None:
    """Take the claim and keep it."""
    with Claim.acquire(directory) or os._exit(3):
        time.sleep(60)


def _wait(_: Owner) -> None:
    time.sleep(0.005)


def _append(log: Path, line: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line.encode())
    os.close(descriptor)
