"""Processes that train together end when nobody is left who could ask them to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from foundations.errors import INTERRUPTED
from platforms.launching import LAUNCHER

PROJECT = Path(__file__).resolve().parents[2]
ORPHAN = """
import signal, sys, time
from branches import together
together._LOOK_S = together._LEAVE_S = 0.05
signal.signal(signal.SIGTERM, lambda *_: {heeds})
together._end_with_launcher()
time.sleep(300)
"""


@pytest.mark.parametrize(("heeds", "code"), [("sys.exit(7)", 7), ("None", INTERRUPTED)])
def test_who_has_lost_its_launcher_ends(heeds: str, code: int) -> None:
    """It stops politely; where it waits for one that never comes, it ends all the same."""
    gone = {LAUNCHER: str(2**22 + 1)}  # above all pids
    ended = subprocess.run(
        [sys.executable, "-c", ORPHAN.format(heeds=heeds)],
        cwd=PROJECT,
        env=os.environ | gone,
        check=False,
        timeout=240,
    )
    assert ended.returncode == code
