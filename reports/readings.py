"""What the files of one run say, as plain data; needs no torch."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from branches import KINDS
from foundations.errors import OpenPruneError
from foundations.plugins import AbsentPluginError
from foundations.run_directory import Fact, RunState
from reports.rows import FIRST, RESULTS, chosen, row

if TYPE_CHECKING:
    from collections.abc import Callable

    from branches.opened import Run
    from foundations.description import Description
    from foundations.hparams import Json

T = TypeVar("T")
Points = list[tuple[float, float]]
"""A curve: epochs and values."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the files of a run say."""

    row: dict[str, Any]
    """As ``reports.rows.row`` has it."""
    state: str
    """done, running, interrupted, failed, new or damaged."""
    problem: str
    """Why it failed, or cannot be read."""
    differs: str
    """Its own hyperparameters that are not at their defaults."""
    needs: list[tuple[str, int]]
    """The runs that it began from, the parent first: names and replicates."""
    metrics: dict[str, Json]
    """What it measured in the end."""
    progress: float | None
    """How much of its training an unfinished run has behind it, in [0, 1]."""
    layers: tuple[tuple[str, int], ...]
    """The names of its layers, and how many weights there are in each."""
    layers_kept: list[int]
    """How many it keeps of each."""
    curves: dict[str, Points]
    """What was measured while it trained: phase and name; epochs and values."""

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What the row has besides."""
        others = {*FIRST, *RESULTS, *self.metrics}
        return {name: value for name, value in self.row.items() if name not in others}


class _Reader:
    """Reads the files of a run. Whatever is damaged is as if it were not there, and is told."""

    def __init__(self, run: Run) -> None:
        self.directory = run.directory
        self.row = row(run, lambda: self.description)
        self.state = self.row.get("state", RunState.NEW.value)
        self.problems = [self.row["problem"]] if "problem" in self.row else []

    @cached_property
    def description(self) -> Description:
        """What the run is: reading it takes longest."""
        return self.directory.description(KINDS)

    def read(self, what: Callable[[Self], T], otherwise: T) -> T:
        try:
            return what(self)
        except AbsentPluginError:  # the row has told of it
            return otherwise
        except OpenPruneError as error:
            self.problems.append(str(error))
            self.state = "damaged"
            return otherwise


def read(run: Run) -> Reading:
    """Read a run, a damaged one too."""
    reader = _Reader(run)
    layers = reader.read(_layers, list[tuple[str, int, int]]())
    differs = reader.read(_differs, "")
    needs = reader.read(_needs, list[tuple[str, int]]())
    metrics = reader.read(_end_metrics, dict[str, Any]())
    progress = reader.read(_progress, None)
    curves = reader.read(_curves, dict[str, Points]())
    failure = reader.read(_failure, list[str]())
    return Reading(
        row=reader.row,
        state=reader.state,
        problem="\n".join(dict.fromkeys([*reader.problems, *failure])),
        differs=differs,
        needs=needs,
        metrics=metrics,
        progress=progress,
        layers=tuple((name, total) for name, _, total in layers),
        layers_kept=[kept for _, kept, _ in layers],
        curves=curves,
    )


def _differs(reader: _Reader) -> str:
    named = chosen(reader.description)
    return " ".join(f"{name}={text}" for name, text in named)


def _needs(reader: _Reader) -> list[tuple[str, int]]:
    own = reader.directory.replicate
    return [
        (ref.description.name, own if ref.replicate is None else ref.replicate)
        for ref in reader.description.runs()
    ]


def _end_metrics(reader: _Reader) -> dict[str, Json]:
    return dict((reader.directory.done() or {"metrics": {}})["metrics"])


def _progress(reader: _Reader) -> float | None:
    start = reader.directory.start()
    if start is None or reader.directory.state is RunState.DONE:
        return None
    reached = [start["iteration"], *(line.iteration for line in reader.directory.digests())]
    return float(max(reached) / max(1, start["end"]))


def _layers(reader: _Reader) -> list[tuple[str, int, int]]:
    """Name, kept and total of each layer."""
    report = reader.directory.fact(Fact.SPARSITY) or {"layers": []}
    return [(layer["layer"], layer["kept"], layer["total"]) for layer in report["layers"]]


def _failure(reader: _Reader) -> list[str]:
    failure = reader.directory.failure()
    return [] if failure is None else [failure]


def _curves(reader: _Reader) -> dict[str, Points]:
    """All that was measured while it trained, by what it is."""
    per_epoch = (reader.directory.start() or {"iterations_per_epoch": 1})["iterations_per_epoch"]
    curves: dict[str, Points] = defaultdict(list)
    for line in reader.directory.metrics():
        epoch = round(line.iteration / per_epoch, 4)
        curves[f"{line.phase} {line.name}"].append((epoch, line.value))
    return dict(curves)
