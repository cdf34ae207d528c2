"""Measurements are read back as they were written, whatever came out."""

import json
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from foundations.tables import (
    Metric,
    metric_from_json,
    metric_to_json,
    number_to_json,
    read_metrics,
    write_metrics,
)

STRANGE = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2]
ROWS = [Metric(at, 0, "test", "loss", value) for at, value in enumerate(STRANGE)]


def _strictly(value: object) -> object:
    """Through JSON as a reader has it who knows no more than the standard."""
    return json.loads(json.dumps(value, allow_nan=False))


def _exactly(rows: list[Metric]) -> list[tuple[object, ...]]:
    """The rows with values as ``repr`` tells them apart: ``nan`` is ``nan``, ``-0.0`` is not 0."""
    return [(*row[:-1], type(row.value), repr(row.value)) for row in rows]


def test_numbers_that_json_has_no_word_for_are_text() -> None:
    """Spelled out by hand."""
    written = [number_to_json(value) for value in (math.nan, math.inf, -math.inf, 0.5)]
    assert json.dumps(written, allow_nan=False) == '["nan", "inf", "-inf", 0.5]'


@given(some.floats())
def test_a_metric_survives_strict_json(value: float) -> None:
    """Every float there is, to the last bit."""
    row = Metric(391, 1, "test", "loss", value)
    found = _strictly(metric_to_json(row))
    assert isinstance(found, list)
    assert _exactly([metric_from_json(found)]) == _exactly([row])


def test_metrics_that_are_not_finite_survive_the_table(tmp_path: Path) -> None:
    """``nan`` and both infinities are written as such, and read back."""
    write_metrics(tmp_path / "metrics.csv", ROWS)
    text = (tmp_path / "metrics.csv").read_text()
    assert [line.split(",")[-1] for line in text.splitlines()[1:4]] == ["nan", "inf", "-inf"]
    assert _exactly(read_metrics(tmp_path / "metrics.csv")) == _exactly(ROWS)
