"""The side of a sink: ``python -m training.sinks.follower SINK RUN`` passes on what a run measures.

It reads ``metrics.csv``, which is whole whenever it is read, and passes on what is new, until
something comes over its standard input, or that is closed. How far it came is written down, so that
a run that goes on is followed from there: a resumed run writes some rows again.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from foundations.files import read_json, write_json
from foundations.run_directory import METRICS
from foundations.tables import read_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_POLL_S = 0.5
_LAST_S = 60.0
"""How long after the end of the run a sink may still take; then it is given up."""

_GIVEN, _LOCK = "given.json", "lock"


class Sink(Protocol):
    """What takes the metrics of a run."""

    def write(self, iteration: int, values: Mapping[str, float]) -> None:
        """Take what was measured at an iteration: by names such as ``test/accuracy``."""

    def flush(self) -> None:
        """Have it in its files."""

    def close(self) -> None:
        """There is no more to come."""


def follow(name: str, run: Path) -> None:
    """Pass the metrics of a run on to a sink, until standard input is closed."""
    folder = run / name
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        given = _given(folder)
        sink: Sink = import_module(f"training.sinks.to_{name}").open_sink(folder)
        ended = False
        while not ended:
            ended = _is_closed(_POLL_S)
            if ended:
                _give_up_after(_LAST_S)
            given = _passed_on(run, folder, sink, given)
        sink.close()


def _passed_on(run: Path, folder: Path, sink: Sink, given: int) -> int:
    """Pass on what was measured after iteration ``given``; the last iteration that was."""
    rows = [row for row in read_metrics(run / METRICS) if row.iteration > given]
    for iteration, measured in groupby(rows, lambda row: row.iteration):
        sink.write(iteration, {f"{row.phase}/{row.name}": row.value for row in measured})
        given = iteration
    if rows:
        sink.flush()
        write_json(folder / _GIVEN, {"iteration": given})
    return given


def _given(folder: Path) -> int:
    try:
        return int(read_json(folder / _GIVEN)["iteration"])
    except FileNotFoundError:
        return -1


def _is_closed(timeout_s: float) -> bool:
    """Whether the run has ended; waits so long for it."""
    return bool(select.select([sys.stdin], [], [], timeout_s)[0])


def _give_up_after(seconds: float) -> None:
    """End this process by then, whatever the sink is doing."""
    timer = threading.Timer(seconds, os._exit, [1])
    timer.daemon = True
    timer.start()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for the follower of a run that was broken off a moment ago: it is still writing."""
    with (folder / _LOCK).open("w") as file:
        with suppress(ImportError):  # there is none on Windows
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    follow(sys.argv[1], Path(sys.argv[2]))
