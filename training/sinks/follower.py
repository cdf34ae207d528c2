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
from typing import TYPE_CHECKING, NamedTuple, Protocol

from foundations.files import read_json, write_json
from foundations.run_directory import METRICS
from foundations.tables import read_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from foundations.tables import Metric

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


class Given(NamedTuple):
    """How far a sink was fed.

    Args:
        iteration: The last of which it was given something.
        names: What of that one; a run that is stopped while it measures tells the rest later.
    """

    iteration: int = -1
    names: tuple[str, ...] = ()

    def has(self, row: Metric) -> bool:
        """Whether a row was given."""
        if row.iteration == self.iteration:
            return _name(row) in self.names
        return row.iteration < self.iteration

    def and_then(self, iteration: int, names: Mapping[str, float]) -> Given:
        """What was given once these were too."""
        before = self.names if iteration == self.iteration else ()
        return Given(iteration, (*before, *names))


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


def _passed_on(run: Path, folder: Path, sink: Sink, given: Given) -> Given:
    """Pass on what was measured and not given yet; what is given then."""
    rows = [row for row in read_metrics(run / METRICS) if not given.has(row)]
    for iteration, measured in groupby(rows, lambda row: row.iteration):
        values = {_name(row): row.value for row in measured}
        sink.write(iteration, values)
        given = given.and_then(iteration, values)
    if rows:
        sink.flush()
        write_json(folder / _GIVEN, given._asdict())
    return given


def _name(row: Metric) -> str:
    """What a sink calls it: ``test/accuracy``."""
    return f"{row.phase}/{row.name}"


def _given(folder: Path) -> Given:
    try:
        given = read_json(folder / _GIVEN)
    except FileNotFoundError:
        return Given()
    return Given(int(given["iteration"]), tuple(given["names"]))


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
