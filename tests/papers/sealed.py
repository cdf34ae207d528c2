"""Runs that are done without having been trained, with the numbers that a test wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches import KINDS
from foundations.run_directory import Fact
from foundations.store import Store
from papers.paper import Cell, Figure, Measure, Paper, Published, Study, Table
from papers.reading import Results

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from foundations.description import Description
    from foundations.run_directory import RunDirectory

ACCURACY = Measure("test accuracy", factor=100, digits=2, unit="%")


def sealed(
    root: Path,
    description: Description,
    replicate: int,
    metrics: Mapping[str, float],
    kept: int = 100,
) -> RunDirectory:
    """A run with these end metrics, and so many of 100 weights."""
    run = Store(root).run(description, replicate)
    run.prepare(description, KINDS)
    claim = run.claim()
    assert claim is not None
    with claim:
        layer = {"layer": "fc.weight", "shape": [10, 10], "total": 100, "kept": kept}
        run.write_fact(Fact.SPARSITY, {"layers": [layer], "total": 100, "kept": kept})
        run.seal(claim, dict(metrics))
    return run


def results(root: Path, replicates: int = 3) -> Results:
    """What came out below a root, of the first replicates."""
    return Results(root, root / "data", tuple(range(1, replicates + 1)))


def study(cells: Mapping[tuple[str, str], Cell], *figures: Figure) -> Study:
    """A study of a table with these cells."""
    rows, columns = (tuple(dict.fromkeys(heads)) for heads in zip(*cells, strict=True))
    return Study(Table("A table", "method", rows, columns, cells), figures)


def published(value: float, deviation: float | None = None) -> Published:
    """A number of the first table of a paper."""
    return Published(value, deviation, "Table 1")


PAPER = Paper("made_up", "Made Up", "Nobody, 2020.", {})
