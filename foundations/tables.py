"""The rows of ``metrics.csv`` and ``digests.csv``, as text and back.

A number is written so that it is read back to the same bits; one that is not finite, as a network
that diverged gives, is ``nan``, ``inf`` or ``-inf``. There are no times in these tables: two
executions of one run write the same bytes.
"""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, NamedTuple

from foundations.errors import DamageError
from foundations.files import read_text, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from foundations.hparams import Json


class Metric(NamedTuple):
    """One measurement of a run.

    Args:
        iteration: After so many iterations of training.
        epoch: In or after so many epochs.
        phase: What it was measured on: ``train``, ``test``, ``validation``.
        name: What was measured: ``loss``, ``accuracy``.
        value: What came out.
    """

    iteration: int
    epoch: int
    phase: str
    name: str
    value: float


class Digest(NamedTuple):
    """The digest of a run's weights at a step, by which a replay is checked."""

    iteration: int
    epoch: int
    sha256: str


def write_metrics(path: Path, rows: Iterable[Metric]) -> None:
    """Write the whole table, atomically."""
    _write(path, Metric._fields, rows)


def read_metrics(path: Path) -> list[Metric]:
    """The table; no rows if there is no file.

    Raises:
        DamageError: It is not such a table.
    """
    try:
        return [
            Metric(int(iteration), int(epoch), phase, name, float(value))
            for iteration, epoch, phase, name, value in _read(path, Metric._fields)
        ]
    except ValueError as error:
        raise _no_table(path, error) from error


def write_digests(path: Path, rows: Iterable[Digest]) -> None:
    """Write the whole table, atomically."""
    _write(path, Digest._fields, rows)


def read_digests(path: Path) -> list[Digest]:
    """The table; no rows if there is no file.

    Raises:
        DamageError: It is not such a table.
    """
    try:
        return [
            Digest(int(iteration), int(epoch), sha256)
            for iteration, epoch, sha256 in _read(path, Digest._fields)
        ]
    except ValueError as error:
        raise _no_table(path, error) from error


def metric_to_json(row: Metric) -> list[Json]:
    """A row as JSON, in the order of its fields: ``metric_from_json`` gives it back."""
    return [*row[:-1], number_to_json(row.value)]


def metric_from_json(row: list[Json]) -> Metric:
    """The row that ``metric_to_json`` wrote."""
    iteration, epoch, phase, name, value = row
    return Metric(iteration, epoch, phase, name, float(value))


def number_to_json(value: float) -> float | str:
    """A number as strict JSON, which ``float`` reads: as text if it is ``nan`` or infinite."""
    value = float(value)
    return value if math.isfinite(value) else repr(value)


def _write(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_text(path, text.getvalue())


def _read(path: Path, header: tuple[str, ...]) -> list[list[str]]:
    try:
        text = read_text(path)
    except FileNotFoundError:
        return []
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or tuple(rows[0]) != header or not text.endswith("\n"):
        raise ValueError(f"it does not begin with {','.join(header)}, or was cut short")
    return rows[1:]


def _no_table(path: Path, error: Exception) -> DamageError:
    return DamageError(f"{path} is damaged: {error}.")
