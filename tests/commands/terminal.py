"""Commands on a terminal of 24 lines and 80 columns, and what they show there."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import open_prune

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT = Path(open_prune.__file__).parent


def on_a_terminal(words: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """The command on a terminal that it controls, and that terminal's other end."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    code = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "os.execv(sys.executable, [sys.executable, 'open_prune.py', *sys.argv[1:]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=PROJECT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(theirs)
    return process, ours


def read(terminal: int, until: str = "") -> str:
    """What is shown, until it matches, or to the end."""
    shown = ""
    while not (until and re.search(until, shown)):
        try:
            part = os.read(terminal, 4096)
        except OSError:  # how a terminal ends on Linux
            break
        if not part:
            break
        shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", part.decode(errors="replace"))
    return shown
