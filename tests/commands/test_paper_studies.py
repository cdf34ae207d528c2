"""``paper`` at the scale of smoke, from end to end: studies of many short runs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from branches.base import recipe_of
from foundations.run_directory import Fact
from foundations.store import Store
from papers import PAPERS
from papers.paper import Scale

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Told

SMOKE = ("--scale=smoke", "--workers=1", "--threads=1", "--quiet")

TABLES = [
    ("granularity", "resnet20", 21),
    ("gradient_flow", "resnet56_cifar10", 11),
    ("nip_it_in_the_bud", "densenet", 18),
    ("weight_level", "snapshots_cifar10", 16),
    ("weight_level", "filters_cifar10", 25),
    ("weight_level", "imagenet", 24),
]


@pytest.mark.parametrize("paper", sorted({paper for paper, _, _ in TABLES}))
def test_every_table_is_small_at_the_scale_of_smoke(paper: str) -> None:
    """One replicate of at most 21 runs on digits, for the cells of the rows and columns it has."""
    for make in PAPERS[paper].studies.values():
        small, full = make(Scale.SMOKE), make(Scale.FULL)
        assert small.replicates == (1,)
        assert 0 < len(small.runs) <= 21
        assert small.table.corner == full.table.corner
        assert len(small.table.rows) <= len(full.table.rows)
        data = {recipe_of(run).dataset.dataset_name for run in small.runs}
        assert data == {"digits"}


@pytest.mark.slow
@pytest.mark.parametrize(("paper", "table", "count"), TABLES)
def test_a_table_is_what_its_runs_say(
    cli: Cli, root: Path, paper: str, table: str, count: int
) -> None:
    """Every run is done, every number and every figure is there; the same again runs nothing."""
    words = ("paper", paper, f"--table={table}", *SMOKE)
    told = cli(*words, "--format=csv,png")
    assert (told.code, told.err) == (0, "")
    cells = written(told)
    assert len(cells) == count
    for cell in cells:
        assert float(cell["mean"]) == pytest.approx(measured(root, cell)), cell
    study = PAPERS[paper].studies[table](Scale.SMOKE)
    names = [path.name for path in paths(told)]
    assert names == ["table.csv", *(f"{figure.name}.png" for figure in study.figures)]
    runs = Store(root).runs()
    before = [(run.path / "log.txt").read_text() for run in runs]
    assert cli(*words, "--format=csv").code == 0
    assert [(run.path / "log.txt").read_text() for run in runs] == before


@pytest.mark.slow
def test_what_is_read_from_whole_curves_needs_no_run_of_its_own(cli: Cli, root: Path) -> None:
    """What may go is read from the runs of the first table, with what the abstract says beside."""
    assert cli("paper", "granularity", "--table=dbsn", *SMOKE, "--format=csv").code == 0
    runs = {run.path for run in Store(root).runs()}
    derived = ("paper", "granularity", *SMOKE, "--format=csv")
    allowed = written(cli(*derived, "--table=dbsn_allowed"))
    told = cli(*derived, "--table=dbsn_where_random_is")
    assert {run.path for run in Store(root).runs()} == runs
    assert {float(cell["mean"]) for cell in allowed} <= {1.0, 0.5, 0.25}
    assert [cell["row"] for cell in written(told)] == ["weights"] * 2 + ["nodes"] * 2


def paths(told: Told) -> list[Path]:
    """The files that a command says it wrote."""
    return [Path(line) for line in told.out.splitlines() if line.startswith("/")]


def written(told: Told) -> list[dict[str, Any]]:
    """The cells of the CSV file."""
    (file,) = (path for path in paths(told) if path.suffix == ".csv")
    return [*csv.DictReader(file.read_text().splitlines())]


def measured(root: Path, cell: dict[str, Any]) -> float:
    """What a cell should say, by the files of its run."""
    runs = {run.name: run for run in Store(root).runs()}
    run = runs[cell["runs"].split()[0]]
    metrics, counts = run.done()["metrics"], run.fact(Fact.SPARSITY)
    accuracy: float = metrics["test accuracy"]
    errors = dict.fromkeys(("pruned and tuned", "from scratch"), 1 - accuracy)
    found: dict[str, float] = {
        **errors,
        "weights left": counts["kept"] / counts["total"],
        "weights": counts.get("weights_effective", counts["total"]),
        "weights kept": counts["kept"],
        "test top5": metrics.get("test top5"),
    }
    if cell["column"] == "operations left":
        return float(counts["macs_effective"] / counts["macs"])
    return found.get(cell["column"], accuracy)
