"""From the directories of runs to the plain data that a page is drawn from; needs no torch.

What many runs share is written once: values of hyperparameters that most of them have, the epochs
of their curves, the layers of their networks. So a page of a thousand runs is a few megabytes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foundations.tables import number_to_json
from reports.readings import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from branches.opened import Run
    from foundations.hparams import Json
    from reports.readings import Points, Reading

POINTS = 200
"""A curve has at most so many points, ..."""

ALL_POINTS = 400_000
"""... fewer where all curves together would have more than so many, ..."""

FEWEST = 20
"""... and never fewer than so many."""

DIGITS = 6
"""Significant digits of the values of curves."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A replicate of a run, as the page has it."""

    name: str
    kind: str
    replicate: int
    state: str
    """done, running, interrupted, failed, new or damaged."""
    progress: float | None
    """How much of its training an unfinished run has behind it, in [0, 1]."""
    problem: str
    """Why it failed, or cannot be read."""
    differs: str
    """Its own hyperparameters that are not at their defaults."""
    own: dict[str, Json] | None
    """The hyperparameters that are not those of ``Report.shared``, None for one that it has not;
    None where they cannot be read."""
    needs: list[tuple[str, int]]
    """The runs that it began from, the parent first: names and replicates."""
    metrics: dict[str, Json]
    """What it measured in the end."""
    kept: int | None
    """Prunable weights that it keeps, ..."""
    total: int | None
    """... of so many."""
    seconds: float | None
    """How long it trained."""
    layers: int | None
    """Which of ``Report.layers`` are its own, ..."""
    layers_kept: list[int]
    """... and how many weights it keeps of each."""
    curves: dict[str, tuple[int, list[Json]]]
    """What was measured while it trained: which of ``Report.epochs``, and the values."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the page shows."""

    root: str
    written: str
    points: int
    """The points that a curve has at most."""
    thinned: bool
    """Whether a curve has fewer points than were measured."""
    shared: dict[str, Json]
    """The value of each hyperparameter that most runs have."""
    epochs: list[tuple[float, ...]]
    layers: list[tuple[tuple[str, int], ...]]
    """Of networks: the names of layers, and how many weights there are in each."""
    runs: list[Entry]

    def to_json_dict(self) -> dict[str, Json]:
        """The same as JSON. ``dataclasses.asdict`` would copy each point of each curve."""
        return {**vars(self), "runs": [vars(run) for run in self.runs]}


def gather(runs: Iterable[Run], *, root: str, written: str) -> Report:
    """Read runs, damaged ones included: what is wrong with them is said.

    Args:
        runs: Which.
        root: Where they are, for people to read.
        written: When that was, for people to read.
    """
    readings = [read(run) for run in runs]
    curves = [curve for one in readings for curve in one.curves.values()]
    points = max(FEWEST, min(POINTS, ALL_POINTS // max(1, len(curves))))
    shared = _shared([one.hyperparameters for one in readings])
    epochs, layers = _Pool(), _Pool()
    return Report(
        root=root,
        written=written,
        points=points,
        thinned=any(len(curve) > points for curve in curves),
        runs=[_entry(one, shared, points, epochs, layers) for one in readings],
        shared=shared,
        epochs=list(epochs),
        layers=list(layers),
    )


def thinned(points: Points, number: int) -> Points:
    """At most ``number`` of the points, evenly spread, the first and the last among them."""
    last = len(points) - 1
    if last < number:
        return points
    return [points[round(place * last / (number - 1))] for place in range(number)]


class _Pool(dict[Any, int]):
    """Values that many runs share, each once, and its place."""

    def place(self, value: Any) -> int:  # noqa: ANN401 - whatever can be a key
        return self.setdefault(value, len(self))


def _shared(parts: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
    """The commonest value of each hyperparameter."""
    values: dict[str, Counter[Any]] = defaultdict(Counter)
    for part in parts:
        for name, value in part.items():
            values[name][value] += 1
    return {name: _json(found.most_common(1)[0][0]) for name, found in values.items()}


def _entry(
    one: Reading, shared: Mapping[str, Json], points: int, epochs: _Pool, layers: _Pool
) -> Entry:
    found = {name: _json(value) for name, value in one.hyperparameters.items()}
    return Entry(
        name=one.row["name"],
        kind=one.row["kind"],
        replicate=one.row["replicate"],
        state=one.state,
        progress=one.progress,
        problem=one.problem,
        differs=one.differs,
        own=_own(found, shared) if found else None,
        needs=one.needs,
        metrics=one.metrics,
        kept=one.row.get("kept"),
        total=one.row.get("total"),
        seconds=one.row.get("seconds"),
        layers=layers.place(one.layers) if one.layers else None,
        layers_kept=one.layers_kept,
        curves={name: _curve(thinned(curve, points), epochs) for name, curve in one.curves.items()},
    )


def _own(found: Mapping[str, Json], shared: Mapping[str, Json]) -> dict[str, Json]:
    return {name: found.get(name) for name in shared if found.get(name) != shared[name]}


def _curve(points: Points, epochs: _Pool) -> tuple[int, list[Json]]:
    place = epochs.place(tuple(epoch for epoch, _ in points))
    return place, [number_to_json(float(f"{value:.{DIGITS}g}")) for _, value in points]


def _json(value: object) -> Json:
    """A hyperparameter as strict JSON: None is written out, for null is one that is absent."""
    if value is None:
        return "None"
    return number_to_json(value) if isinstance(value, float) else value
