"""All runs as a data frame: hyperparameters, lineage and results as columns."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

import open_prune
from foundations.errors import UserError
from tests.commands.conftest import DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from tests.commands.conftest import Cli


def _row(frame: pd.DataFrame, name: str, replicate: int = 1) -> dict[str, object]:
    (row,) = frame[(frame.name == name) & (frame.replicate == replicate)].to_dict("records")
    return {str(column): value for column, value in row.items()}


def test_a_row_for_each_replicate(cli: Cli, done: Path) -> None:
    """Name, kind, replicate, state and directory."""
    assert cli(*TRAIN, "--replicate=2", "--quiet").code == 0
    frame = open_prune.frame()
    rows = zip(frame.name, frame.kind, frame.replicate, frame.state, frame.path, strict=True)
    assert sorted(rows) == [
        (PRUNED, "oneshot", 1, "done", str(done / PRUNED / "replicate_1")),
        (DENSE, "train", 1, "done", str(done / DENSE / "replicate_1")),
        (DENSE, "train", 2, "done", str(done / DENSE / "replicate_2")),
    ]
    assert frame.problem.isna().all()


def test_hyperparameters_are_columns(done: Path) -> None:
    """A branch's own, and the recipe of its parent by which it trains; each run has what it has."""
    frame = open_prune.frame()
    dense, pruned = _row(frame, DENSE), _row(frame, PRUNED)
    for row in (dense, pruned):
        assert row["model.model_name"] == "digits_lenet_8"
        assert row["dataset.batch_size"] == 64
        assert row["training.lr"] == 0.1
        assert row["training.training_steps"] == "2ep"
        assert row["training.nesterov_momentum"] == 0
    assert pruned["branch.strategy"] == "magnitude"
    assert pruned["branch.prune_fraction"] == 0.8
    assert pruned["branch.state_step"] == "0ep"
    assert dense["branch.strategy"] != dense["branch.strategy"]  # missing, as pandas has it


def test_lineage_is_columns(cli: Cli, done: Path) -> None:
    """The run branched from, the oldest one, and how far that is; another run is its name."""
    words = ("--prune_step=1ep", "--state_step=1ep", f"--prune_experiment={PRUNED}", "--quiet")
    told = cli("branch", PRUNED, "oneshot", *words)
    assert told.code == 0, told.err
    (third,) = {path.name for path in done.iterdir()} - {DENSE, PRUNED}
    frame = open_prune.frame()
    lineage = {row.name: (row.parent, row.root, row.depth) for row in frame.itertuples(index=False)}
    assert lineage[PRUNED] == (DENSE, DENSE, 1)
    assert lineage[third] == (PRUNED, DENSE, 2)
    assert lineage[DENSE][1:] == (DENSE, 0)
    assert frame.set_index("name").parent.isna()[DENSE]
    assert _row(frame, third)["branch.prune_experiment"] == PRUNED


def test_results_are_columns(done: Path) -> None:
    """What the files say: end metrics, sparsity, seconds."""
    frame = open_prune.frame()
    for name, kept in ((DENSE, 592), (PRUNED, 118)):
        row, path = _row(frame, name), done / name / "replicate_1"
        sealed = json.loads((path / "done.json").read_text())["metrics"]
        assert {metric: row[metric] for metric in sealed} == sealed
        assert "test accuracy" in sealed
        assert (row["kept"], row["total"], row["density"]) == (kept, 592, kept / 592)
        (session,) = json.loads((path / "provenance.json").read_text())["sessions"]
        assert row["seconds"] == session["seconds"]


def test_a_damaged_run_is_a_row(done: Path) -> None:
    """It says so, and why; the others are as they were."""
    (done / DENSE / "replicate_1" / "hparams.json").write_text("{")
    frame = open_prune.frame()
    assert _row(frame, DENSE)["state"] == "damaged"
    assert "hparams.json" in str(_row(frame, DENSE)["problem"])
    assert _row(frame, PRUNED)["state"] == "done"
    assert set(open_prune.metrics_frame().name) == {PRUNED}


def test_a_run_that_has_begun(cli: Cli, done: Path) -> None:
    """It has a state and hyperparameters, and no end metrics."""
    assert cli("branch", "train", "oneshot", *TRAIN[1:], "--model_seed=7", "--quiet").code == 0
    frame = open_prune.frame().set_index("name")
    (begun,) = frame[frame.state == "interrupted"].index
    assert frame["model.model_seed"][begun] == 7
    assert frame.isna()["test accuracy"][begun]


def test_a_run_whose_plugin_is_not_given(done: Path) -> None:
    """It has its state and results, and says what it needs."""
    path = done / PRUNED / "replicate_1" / "hparams.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | {"plugins": {"a" * 16: "/mine.py"}}))
    (path.parent / "done.json").unlink()  # which has the checksum of what was written
    row = _row(open_prune.frame(), PRUNED)
    assert row["state"] == "interrupted"
    assert row["kept"] == 118
    assert "--plugin=/mine.py" in str(row["problem"])


def test_metrics(done: Path) -> None:
    """A row for each line of the tables."""
    frame = open_prune.metrics_frame()
    for name in (DENSE, PRUNED):
        lines = (done / name / "replicate_1" / "metrics.csv").read_text().splitlines()[1:]
        own = frame[frame.name == name].drop(columns=["name", "replicate"])
        assert own.columns.tolist() == ["iteration", "epoch", "phase", "metric", "value"]
        assert [[str(cell) for cell in row] for row in own.to_numpy()] == [
            line.split(",") for line in lines
        ]


def test_chosen_runs(done: Path, tmp_path: Path) -> None:
    """Those that are given, or those of another place; none at all is a frame with its columns."""
    only = [run for run in open_prune.runs() if run.name == DENSE]
    assert open_prune.frame(only).name.tolist() == [DENSE]
    assert set(open_prune.metrics_frame(only).name) == {DENSE}
    elsewhere = open_prune.Local(root=str(tmp_path / "elsewhere"))
    empty = open_prune.frame(platform=elsewhere)
    assert empty.empty
    assert {"name", "state", "parent", "depth"} <= set(empty.columns)
    assert open_prune.metrics_frame(platform=elsewhere).empty


def test_without_pandas(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        open_prune.frame()
