"""The side of the run: a process for each sink is started, told of the end, and left to itself."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from foundations.run_directory import RunDirectory

_PROJECT = Path(__file__).resolve().parent.parent.parent
_PATIENCE_S = 5.0
"""How long the end of a run waits for a sink to have written everything."""

LOG = "log.txt"


class Following:
    """A process that passes the metrics of a run on to one sink.

    Its standard input is a pipe: when something comes, or it is closed, as it is by the end of this
    process, however that comes about, the other one ends too.

    Args:
        directory: The run's.
        sink: Which.
        say: Told when the process ends with an error, or cannot be started.
    """

    def __init__(self, directory: RunDirectory, sink: str, say: Callable[[str], None]) -> None:
        self._log = directory.path / sink / LOG
        self._sink, self._say = sink, say
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: threading.Thread | None = None
        try:
            self._process = self._started(directory.path.resolve())
        except OSError as error:
            self._told(f"it could not be started: {error}")
            return
        self._watch = threading.Thread(target=self._watched, name=f"sink {sink}", daemon=True)
        self._watch.start()

    def end(self) -> None:
        """Tell that there is no more to come."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # it may be gone
                self._process.stdin.write(b"\n")  # readers of images may hold the pipe open
                self._process.stdin.close()

    def wait(self) -> None:
        """Wait a few seconds for what is still to be written, and no longer."""
        if self._watch is None:
            return
        self._watch.join(_PATIENCE_S)
        if self._watch.is_alive():
            self._told("it is not ready, and is left to itself")

    def _started(self, run: Path) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - this very Python
                [sys.executable, "-m", "training.sinks.follower", self._sink, str(run)],
                cwd=_PROJECT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the run, which then tells of its end
            )

    def _watched(self) -> None:
        if self._process is not None and (code := self._process.wait()):
            self._told(f"it ended with an error ({self._last_line() or f'code {code}'})")

    def _last_line(self) -> str:
        with suppress(OSError, UnicodeDecodeError):
            lines = self._log.read_text().strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def _told(self, what: str) -> None:
        self._say(f"The sink {self._sink}: {what}. The run is not affected. See {self._log}.")
