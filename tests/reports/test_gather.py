"""What is gathered of runs is what their files say; what they share is written once."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from branches.opened import Run
from foundations.store import Store
from reports import gather as gathering
from reports.gather import gather, thinned
from reports.readings import read
from tests.reports.conftest import HOSTILE, STRANGE

if TYPE_CHECKING:
    from reports.gather import Entry, Report

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(mixed: Path) -> list[Run]:
    """All runs of the root."""
    return [Run(directory, mixed) for directory in Store(mixed).runs()]


@pytest.fixture(scope="module")
def report(runs: list[Run]) -> Report:
    """What a page shows of them."""
    return gather(runs, root="here", written="now")


def _of(report: Report, run: Run) -> Entry:
    key = (run.name, run.directory.replicate)
    (found,) = [one for one in report.runs if (one.name, one.replicate) == key]
    return found


def _json(run: Run, name: str) -> Any:
    return json.loads((run.path / name).read_text())


def _hyperparameters(report: Report, entry: Entry) -> dict[str, Any]:
    assert entry.own is not None
    every = report.shared | entry.own
    return {name: value for name, value in every.items() if value is not None}


def test_results_are_those_of_the_files(report: Report, runs: list[Run]) -> None:
    """End metrics, weights by layer and in all, seconds."""
    done = [run for run in runs if (run.path / "done.json").exists()]
    assert len(done) == 18
    for run in done:
        found, sparsity = _of(report, run), _json(run, "sparsity.json")
        assert found.metrics == _json(run, "done.json")["metrics"]
        if found.state == "damaged":
            continue
        assert (found.state, found.progress, found.problem) == ("done", None, "")
        assert (found.kept, found.total) == (sparsity["kept"], sparsity["total"])
        assert found.layers is not None
        assert [
            {"layer": name, "total": total, "kept": kept}
            for (name, total), kept in zip(
                report.layers[found.layers], found.layers_kept, strict=True
            )
        ] == [{key: row[key] for key in ("layer", "total", "kept")} for row in sparsity["layers"]]
        (session,) = _json(run, "provenance.json")["sessions"]
        assert found.seconds == session["seconds"]


def test_curves_are_those_of_the_table(report: Report, runs: list[Run]) -> None:
    """Each phase and name is a curve: epochs, and values to six digits."""
    run = runs[-1]
    with (run.path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    curves = _of(report, run).curves
    assert curves.keys() == {f"{row['phase']} {row['name']}" for row in rows}
    for name, (epochs, values) in curves.items():
        own = [row for row in rows if f"{row['phase']} {row['name']}" == name]
        assert list(report.epochs[epochs]) == [float(row["epoch"]) for row in own]
        assert values == pytest.approx([float(row["value"]) for row in own], rel=1e-5)


def test_hyperparameters_are_whole(report: Report, runs: list[Run]) -> None:
    """What is shared and what is a run's own make up what its description says."""
    for run in runs[-4:]:
        described = _json(run, "hparams.json")
        found = _hyperparameters(report, _of(report, run))
        training = (described.get("parent") or described)["training"]
        assert found["training.lr"] == training["lr"]
        assert found["training.training_steps"] == "2ep"
        assert found["training.gamma"] == "None"
        branch = described.get("branch", {})
        assert found.get("branch.prune_fraction") == branch.get("prune_fraction")
        assert ("branch.strategy" in found) == bool(branch)


def test_what_is_shared_is_written_once(report: Report) -> None:
    """Of two replicates of a family: epochs, layers, and all hyperparameters but a few."""
    assert len(report.layers) == 1
    assert len(report.epochs) == 2  # training loss is not measured before the first epoch
    pruned = [one for one in report.runs if one.kind == "oneshot"]
    assert {len(one.own) for one in pruned if one.own is not None} == {0, 1}
    assert [one.state for one in pruned if one.own is None] == ["damaged"]


def test_lineage_and_differences_from_the_defaults(report: Report, runs: list[Run]) -> None:
    """Parents are of the same replicate; what is at its default is not named."""
    (dense,) = {one.name for one in report.runs if one.kind == "train"}
    for run in runs:
        found = _of(report, run)
        if found.kind == "oneshot":
            assert found.needs == [(dense, found.replicate)]
            fraction = _json(run, "hparams.json")["branch"]["prune_fraction"]
            assert found.differs == ("" if fraction == 0.8 else f"prune_fraction={fraction}")
    (first,) = [one for one in report.runs if (one.name, one.replicate) == (dense, 1)]
    assert first.needs == []
    assert first.differs.endswith(" lr=0.1 training_steps=2ep")
    assert "momentum" not in first.differs


def test_runs_that_are_not_done(report: Report) -> None:
    """Each state, and why; what can be read of a damaged run is there."""
    others = {one.state: one for one in report.runs if one.state != "done" and one.name != STRANGE}
    assert others.keys() == {"failed", "interrupted", "damaged"}
    assert others["failed"].problem == HOSTILE
    assert others["interrupted"].problem == ""
    assert others["interrupted"].progress == 1.0
    assert others["interrupted"].metrics == {}
    assert others["interrupted"].curves
    damaged = others["damaged"]
    assert "metrics.csv" in damaged.problem
    assert damaged.curves == {}
    assert damaged.metrics
    (strange,) = [one for one in report.runs if one.name == STRANGE]
    assert strange.state == "damaged"
    assert "hparams.json" in strange.problem


def test_it_is_strict_json(report: Report) -> None:
    """Losses that are not finite included: they are texts, which Python reads back as numbers."""
    entry = replace(report.runs[0], curves={"test loss": (0, ["nan"])})
    json.dumps(replace(report, runs=[entry]).to_json_dict(), allow_nan=False)


def test_a_loss_that_is_not_finite(mixed: Path, tmp_path: Path) -> None:
    """It stays in its curve, as a text."""
    (source,) = [run for run in Store(mixed).runs() if run.state.value == "interrupted"]
    target = tmp_path / source.name / source.path.name
    target.mkdir(parents=True)
    for name in ("hparams.json", "start.json"):
        (target / name).write_text((source.path / name).read_text())
    (target / "metrics.csv").write_text(
        "iteration,epoch,phase,name,value\n0,0,test,loss,1.25\n23,1,test,loss,nan\n46,2,test,loss,inf\n"
    )
    report = gather(
        [Run(directory, tmp_path) for directory in Store(tmp_path).runs()], root="", written=""
    )
    assert report.runs[0].curves == {"test loss": (0, [1.25, "nan", "inf"])}
    assert report.epochs == [(0.0, 1.0, 2.0)]


@pytest.mark.parametrize(("length", "number"), [(1, 5), (5, 5), (6, 5), (1000, 200), (201, 200)])
def test_thinned_curves(length: int, number: int) -> None:
    """At most so many points, in order, with both ends; short ones stay as they are."""
    points = [(float(place), -float(place)) for place in range(length)]
    found = thinned(points, number)
    assert len(found) == min(length, number)
    assert found[0] == points[0]
    assert found[-1] == points[-1]
    assert found == sorted(set(found) & set(points))
    gaps = [int(b - a) for (a, _), (b, _) in itertools.pairwise(found)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_many_long_curves_are_thinner(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """All curves together have no more points than a page can hold."""
    monkeypatch.setattr(gathering, "ALL_POINTS", 100)
    monkeypatch.setattr(gathering, "FEWEST", 2)
    report = gather(runs, root="", written="")
    assert report.thinned
    assert report.points == 2
    lengths = [len(values) for one in report.runs for _, values in one.curves.values()]
    assert max(lengths) == 2
    assert not gather(runs[:2], root="", written="").thinned


def test_reading_runs_needs_no_torch(mixed: Path) -> None:
    """So that a page of many runs is there at once."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom branches.opened import Run\n"
        "from foundations.store import Store\nfrom reports.gather import gather\n"
        "from reports.writing import page\n"
        f"root = Path({str(mixed)!r})\n"
        "runs = [Run(directory, root) for directory in Store(root).runs()]\n"
        "page(gather(runs, root='', written=''))\n"
        "print([name for name in ('torch', 'numpy', 'pandas') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"


def test_a_run_is_read_as_it_is(runs: list[Run]) -> None:
    """Reading changes nothing."""
    before = {path: path.stat().st_mtime_ns for run in runs for path in run.path.rglob("*")}
    for run in runs:
        read(run)
    assert {path: path.stat().st_mtime_ns for run in runs for path in run.path.rglob("*")} == before
