"""Runs as a file for other tools: CSV, which needs nothing, or Parquet, by pyarrow."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, NamedTuple

from foundations.errors import OpenPruneError, UserError
from foundations.files import write_atomically, write_text
from foundations.run_directory import Fact
from reports import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from branches.opened import Run

LAYERS = ("name", "replicate", "layer", "shape", "kept", "total", "density")
"""The columns of what is exported of layers."""

_NUMBERS = (int, float)


class Table(NamedTuple):
    """Rows under columns, each with a value, or None, for each of them.

    Args:
        columns: Their names.
        rows: The values.
        left_out: Why a run that should have rows has none, for each such run.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    left_out: Sequence[str] = ()


def _of_runs(runs: Iterable[Run]) -> Table:
    """A row for each run, with the columns of ``open_prune.frame()``."""
    found = [rows.row(run) for run in runs]
    columns = rows.columns(found)
    return Table(columns, [[row.get(name) for name in columns] for row in found])


def _of_metrics(runs: Iterable[Run]) -> Table:
    """A row for each measurement, with the columns of ``open_prune.metrics_frame()``."""
    return _gathered(rows.MEASURED, runs, rows.measurements)


def _of_layers(runs: Iterable[Run]) -> Table:
    """A row for each layer that can be pruned, of each run that has begun."""
    return _gathered(LAYERS, runs, _layers)


def _gathered(
    columns: Sequence[str], runs: Iterable[Run], rows_of: Callable[[Run], Iterable[Sequence[Any]]]
) -> Table:
    """The rows of all runs; one that is damaged does not keep the others."""
    found: list[Sequence[Any]] = []
    left_out: list[str] = []
    for run in runs:
        try:
            found += list(rows_of(run))
        except OpenPruneError as error:
            left_out.append(f"{run.name}/{run.path.name}: {error}")
    return Table(columns, found, left_out)


def _layers(run: Run) -> Iterator[tuple[str | int | float, ...]]:
    run.directory.check_sealed()
    report = run.directory.fact(Fact.SPARSITY) or {"layers": []}
    for layer in report["layers"]:
        kept, total = layer["kept"], layer["total"]
        shape, density = "x".join(map(str, layer["shape"])), kept / total if total else 1.0
        yield (run.name, run.directory.replicate, layer["layer"], shape, kept, total, density)


WHAT: dict[str, Callable[[Iterable[Run]], Table]] = {
    "runs": _of_runs,
    "metrics": _of_metrics,
    "layers": _of_layers,
}
"""What can be exported."""


def write(table: Table, path: Path) -> None:
    """Write a table, whole or not at all; the ending of the name says how.

    Raises:
        UserError: Another ending than .csv and .parquet; or pyarrow is not installed.
        OpenPruneError: The disk is full, or fails.
    """
    writer = writer_for(path)
    writer(table, path)


def writer_for(path: Path) -> Callable[[Table, Path], None]:
    """What writes a file of this name.

    Raises:
        UserError: As for ``write``.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise UserError(f"{path}: write a name that ends in {' or '.join(_WRITERS)}.")
    if suffix == ".parquet":
        _pyarrow()
    return _WRITERS[suffix]


def _write_csv(table: Table, path: Path) -> None:
    """Numbers are written so that they are read back to the same bits; nothing is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    write_text(path, text.getvalue())


def _write_parquet(table: Table, path: Path) -> None:
    pa = _pyarrow()
    from pyarrow import parquet

    columns = [_column([row[at] for row in table.rows], pa) for at in range(len(table.columns))]
    made = pa.Table.from_arrays(columns, names=list(table.columns))
    buffer = io.BytesIO()
    parquet.write_table(made, buffer)
    write_atomically(path, buffer.getvalue())


def _column(values: Sequence[Any], pa: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """One type for all: texts, where hyperparameters of one name have several kinds of value."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == set(_NUMBERS):
        return pa.array([None if value is None else float(value) for value in values])
    if len(kinds) == 1 and kinds <= {bool, *_NUMBERS}:
        return pa.array(values)
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _pyarrow() -> Any:  # noqa: ANN401 - pyarrow has no types
    try:
        import pyarrow as pa
    except ImportError as error:
        raise UserError("Parquet needs pyarrow: pip install pyarrow. CSV needs nothing.") from error
    return pa


_WRITERS: dict[str, Callable[[Table, Path], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
