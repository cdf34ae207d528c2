"""``export``: any runs as CSV and Parquet, with the columns of the data frames."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pyarrow import parquet

import open_prune
from tests.commands.conftest import DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_needs_no_pandas(
    cli: Cli, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row for each run with its hyperparameters; nothing is left beside the file."""
    for name in ("pandas", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "out" / "runs.csv"
    told = cli("export", f"--output={path}")
    assert (told.code, told.err) == (0, "")
    rows = {row["name"]: row for row in _csv(path)}
    assert rows.keys() == {DENSE, PRUNED}
    assert (rows[DENSE]["training.lr"], rows[DENSE]["parent"]) == ("0.1", "")
    assert (rows[PRUNED]["branch.prune_fraction"], rows[PRUNED]["parent"]) == ("0.8", DENSE)
    sealed = json.loads((done / DENSE / "replicate_1/done.json").read_text())["metrics"]
    assert float(rows[DENSE]["test accuracy"]) == sealed["test accuracy"]
    assert [file.name for file in path.parent.iterdir()] == ["runs.csv"]
    assert f"{path}: 2 rows and " in told.out


@pytest.mark.parametrize("what", ["runs", "metrics"])
def test_parquet_is_the_data_frame(cli: Cli, done: Path, tmp_path: Path, what: str) -> None:
    """The same columns and the same values, with their types."""
    path = tmp_path / "out.parquet"
    assert cli("export", f"--output={path}", f"--what={what}").code == 0
    frame = open_prune.frame() if what == "runs" else open_prune.metrics_frame()
    read = parquet.read_table(path)
    assert read.column_names == list(frame.columns)
    kinds = {field.name: str(field.type) for field in read.schema}
    assert kinds["replicate"] == "int64"
    if what == "runs":
        assert (kinds["training.lr"], kinds["dataset.do_not_augment"]) == ("double", "bool")
    given = read.to_pylist()
    for mine, theirs in zip(frame.to_dict("records"), given, strict=True):
        for name, value in mine.items():
            missing = value is None or (isinstance(value, float) and pd.isna(value))
            assert theirs[str(name)] == (None if missing else value), name


def test_layers(cli: Cli, done: Path, tmp_path: Path) -> None:
    """How many weights of each layer are kept."""
    path = tmp_path / "layers.csv"
    assert cli("export", "oneshot", f"--output={path}", "--what=layers").code == 0
    rows = _csv(path)
    assert [(row["layer"], row["shape"], row["total"]) for row in rows] == [
        ("fc.weight", "10x8", "80"),
        ("fc_layers.0.weight", "8x64", "512"),
    ]
    assert sum(int(row["kept"]) for row in rows) == 118
    assert all(float(row["density"]) == int(row["kept"]) / int(row["total"]) for row in rows)


def test_a_selection(cli: Cli, done: Path, tmp_path: Path) -> None:
    """By names, kinds and states; none are a table without rows."""
    assert cli(*TRAIN, "--replicate=2", "--quiet").code == 0
    (done / DENSE / "replicate_2/done.json").unlink()

    def names(*words: str) -> list[tuple[str, str]]:
        path = tmp_path / "some.csv"
        assert cli("export", *words, f"--output={path}").code == 0
        return [(row["name"], row["replicate"]) for row in _csv(path)]

    assert names("train") == [(DENSE, "1"), (DENSE, "2")]
    assert names(f"{DENSE}/replicate_2") == [(DENSE, "2")]
    assert names("--kind=oneshot") == [(PRUNED, "1")]
    assert names("--state=done") == [(PRUNED, "1"), (DENSE, "1")]
    assert names("--state=interrupted,failed", "--kind=train") == [(DENSE, "2")]
    assert names("--state=failed") == []
    sweep = tmp_path / "sweep.py"
    sweep.write_text(
        "import open_prune\n"
        "def runs():\n"
        "    dense = open_prune.describe('digits_lenet_8', training_steps='2ep')\n"
        "    yield open_prune.branch(dense, 'oneshot')\n"
    )
    assert names(str(sweep)) == [(PRUNED, "1"), (DENSE, "1")]


def test_values_of_several_types_are_texts(tmp_path: Path) -> None:
    """Whole numbers and others are numbers; what else is mixed is text."""
    from reports.export import Table, write

    table = Table(["a", "b", "c"], [[1, "x", None], [2.5, 3, None], [None, True, None]])
    write(table, tmp_path / "t.parquet")
    read = parquet.read_table(tmp_path / "t.parquet").to_pydict()
    assert read == {"a": [1.0, 2.5, None], "b": ["x", "3", "True"], "c": [None, None, None]}


def test_mistakes(cli: Cli, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, another ending, unknown words, and no pyarrow: what was there before stays."""
    assert "Where to?" in cli("export").err
    assert "ends in .csv or .parquet" in cli("export", "--output=runs.xlsx").err
    assert "Did you mean 'metrics'" in cli("export", "--output=a.csv", "--what=metric").err
    assert "There is no run" in cli("export", "nothing", "--output=a.csv").err
    assert "There is no state of a run" in cli("export", "--output=a.csv", "--state=ready").err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"before")
    told = cli("export", f"--output={path}")
    assert told.code == 2
    assert "pip install pyarrow" in told.err
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("what", "file"), [("metrics", "metrics.csv"), ("layers", "sparsity.json")]
)
def test_a_damaged_run_is_left_out_and_named(
    cli: Cli, done: Path, tmp_path: Path, what: str, file: str
) -> None:
    """Its rows are missing from the file, so the command says so; the others are there."""
    (done / PRUNED / "replicate_1" / file).write_text("name")
    path = tmp_path / "rows.csv"
    told = cli("export", f"--output={path}", f"--what={what}")
    assert told.code == 0
    assert "columns of 1 runs\n" in told.out
    assert f"left out: {PRUNED}/replicate_1: " in told.out
    assert f"{file} is damaged" in told.out
    assert {row["name"] for row in _csv(path)} == {DENSE}
