"""``ls``, ``show`` and ``data``: what they tell of what is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from datasets import DATASETS
from tests.commands.conftest import DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli


def test_ls_of_nothing(cli: Cli, root: Path) -> None:
    """A root without runs, or that is not there, has none."""
    told = cli("ls")
    assert (told.code, told.out) == (0, f"There are no runs in {root} yet.\n")
    assert not root.exists()


def test_ls(cli: Cli, done: Path) -> None:
    """Each replicate has a line: state, accuracy, what is kept, and what it is in a few words."""
    told = cli("ls")
    rows = {row[0]: row[1:] for row in told.rows[1:-1]}
    assert rows.keys() == {DENSE, PRUNED}
    assert rows[DENSE][:2] == ["1", "done"]
    assert rows[DENSE][3:] == ["100.00 % (592 of 592)", "digits_lenet_8 on digits, 2ep"]
    assert rows[PRUNED][3:] == ["19.93 % (118 of 592)", f"defaults, from {DENSE}"]


def test_ls_tree_puts_branches_below_their_parents(cli: Cli, done: Path) -> None:
    """A branch stands below the same replicate of its parent, a little further in."""
    assert cli(*TRAIN, "--replicate=2", "--quiet").code == 0
    lines = cli("ls", "--tree").out.splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [[DENSE, "1"], [PRUNED, "1"], [DENSE, "2"]]
    assert [line.startswith("  ") for line in lines] == [False, True, False]


def test_ls_of_a_run_that_is_damaged(cli: Cli, done: Path) -> None:
    """It has a line that says so, and the others are listed all the same."""
    (done / DENSE / "replicate_1" / "hparams.json").write_text("{")
    for words in (("ls",), ("ls", "--tree")):
        told = cli(*words)
        assert told.code == 0
        states = {row[0]: row[2] for row in told.rows[1:-1]}
        assert states[DENSE] == "damaged"
        assert states[PRUNED] == "done"


def test_show(cli: Cli, done: Path) -> None:
    """State, lineage, hyperparameters, metrics, sparsity of each layer, and files."""
    told = cli("show", "onesh")
    assert told.code == 0
    text = told.out
    assert text.startswith(f"{PRUNED} replicate 1: done\n")
    assert f"from {DENSE}: digits_lenet_8 on digits, 2ep" in text
    assert "branch: strategy=magnitude\n" in cli("show", "onesh", "--all").out
    assert "strategy=magnitude" not in text
    assert "training: lr=0.1\n" in text
    assert "best test accuracy" in text
    assert "last test accuracy" in text
    (total,) = [row for row in told.rows if row[:1] == ["all"]]
    assert total[1:4] == ["118", "592", "19.93 %"]
    assert total[-1] == "118 of 592"
    heads = ["layer", "shape", "kept", "of", "density", "on a path", "kernels alive"]
    assert [*heads, "channels alive", "MACs kept"] in told.rows
    layers = {row[0]: row[1:] for row in told.rows if len(row) == 9}
    assert layers["fc.weight"][0] == "10x8"
    kept = int(layers["fc.weight"][1]) + int(layers["fc_layers.0.weight"][1])
    assert kept == 118
    for name in ("metrics.csv", "states/ep2_it0/mask.safetensors", "done.json"):
        size = (done / PRUNED / "replicate_1" / name).stat().st_size
        assert f"  {name}  {size:,} bytes\n" in text


def test_show_says_what_is_not_the_default(cli: Cli, done: Path) -> None:
    """Values at their defaults are shown where all are asked for."""
    shown = cli("show", "train").out
    assert "training: lr=0.1\n" in shown
    assert "momentum" not in shown
    assert "training: momentum=0.0\n" in cli("show", "train", "--all").out
    assert "model: model_name=digits_lenet_8\n" in shown


def test_show_of_best_and_last(cli: Cli, done: Path) -> None:
    """The best is the highest number of all epochs, the last that of the last one."""
    run = done / DENSE / "replicate_1"
    rows = (run / "metrics.csv").read_text().splitlines()
    head = rows[0].split(",")
    assert head == ["iteration", "epoch", "phase", "name", "value"]
    (run / "metrics.csv").write_text(
        f"{rows[0]}\n0,0,test,accuracy,nan\n23,1,test,accuracy,0.9\n46,2,test,accuracy,0.5\n"
    )
    (run / "done.json").unlink()  # which has the checksum of the old table
    shown = cli("show", "train").out
    assert "best test accuracy 90.00 % after epoch 1\n" in shown
    assert "last test accuracy 50.00 % after epoch 2\n" in shown


def test_show_of_a_run_that_failed(cli: Cli, done: Path) -> None:
    """Why, and where to look for more, if there is more."""
    run = done / DENSE / "replicate_1"
    (run / "done.json").unlink()
    (run / "failed.json").write_text('{"reason": "The loss is nan."}')
    lines = cli("show", "train").out.splitlines()
    assert lines[1] == "failed: The loss is nan."
    assert lines[2].startswith("time: ")
    (run / "log.txt").touch()
    lines = cli("show", "train").out.splitlines()
    assert lines[1:3] == ["failed: The loss is nan.", f"what it said: {run / 'log.txt'}"]


def test_show_of_a_run_that_stops_pruning(cli: Cli, done: Path) -> None:
    """What was said when it began is told for ever."""
    run = done / DENSE / "replicate_1"
    (run / "done.json").unlink()
    start = json.loads((run / "start.json").read_text())
    start["facts"]["stops"] = "Nothing is left to cut after 2 of 5 rounds."
    (run / "start.json").write_text(json.dumps(start))
    assert "\nNothing is left to cut after 2 of 5 rounds.\n" in cli("show", "train").out


@pytest.mark.parametrize("words", [("ls",), ("show", "one"), ("status",), ("data",)], ids=" ".join)
def test_reading_changes_nothing(cli: Cli, done: Path, words: tuple[str, ...]) -> None:
    """No file of a run is touched by looking at it."""
    before = {path: path.stat().st_mtime_ns for path in done.rglob("*")}
    assert cli(*words).code == 0
    assert {path: path.stat().st_mtime_ns for path in done.rglob("*")} == before


def test_data(cli: Cli, tmp_path: Path) -> None:
    """Each data set: whether it is there, where it was looked for, how to get it."""
    told = cli("data", f"--data_root={tmp_path}")
    assert told.code == 0
    assert all(f"\n{name}: " in told.out for name in DATASETS)
    assert "digits: here." in told.out
    assert "mnist: missing." in told.out
    assert f"looked in {tmp_path / 'MNIST' / 'raw'}" in told.out
