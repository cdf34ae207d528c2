"""``train`` and ``branch train oneshot``: what they do, print and return."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import open_prune
from tests.commands.conftest import BRANCH, DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from tests.commands.conftest import Cli

PROJECT = Path(open_prune.__file__).parent


def _measured(run: Path) -> set[tuple[str, str, str]]:
    """Epoch, phase and name of what is in the metrics of a run."""
    with (run / "metrics.csv").open(newline="") as file:
        return {(row["epoch"], row["phase"], row["name"]) for row in csv.DictReader(file)}


def _states(run: Path) -> set[str]:
    return {path.name for path in (run / "states").iterdir()}


def test_train_then_prune(cli: Cli, root: Path) -> None:
    """Both commands exit with 0, print a line an epoch and a table of what is complete."""
    dense = cli(*TRAIN)
    assert (dense.code, dense.err) == (0, "")
    title, first, second, heads, row, _ = dense.rows
    assert title == [f"{DENSE} replicate 1"]
    assert [first[0], second[0]] == ["epoch 1/2", "epoch 2/2"]
    assert all("train loss" in line[1] and line[-1].endswith("left") for line in (first, second))
    assert heads[-1] == "directory"
    assert row[:2] == [DENSE, "1"]
    assert row[4] == "100.00 % (592 of 592)"
    assert Path(row[-1]) == root / DENSE / "replicate_1"

    pruned = cli(*BRANCH)
    assert (pruned.code, pruned.err) == (0, "")
    table = [line for line in pruned.rows if len(line) == 7]
    assert [line[0] for line in table] == ["run", DENSE, PRUNED]
    assert table[1] == row
    assert table[2][4] == "19.93 % (118 of 592)"
    assert (root / PRUNED / "replicate_1" / "done.json").exists()


def test_a_branch_makes_of_its_parent_what_it_needs(cli: Cli, root: Path) -> None:
    """Pruning at initialization trains no dense network, and the table has no row of it."""
    told = cli(*BRANCH)
    assert told.code == 0
    assert [line[0] for line in told.rows if len(line) == 7] == ["run", PRUNED]
    assert _states(root / DENSE / "replicate_1") == {"ep0_it0"}
    assert not (root / DENSE / "replicate_1" / "done.json").exists()


@pytest.mark.parametrize("words", [TRAIN, BRANCH], ids=["train", "branch"])
def test_what_is_done_is_not_done_again(words: tuple[str, ...], done: Path) -> None:
    """The second time says so, prints the table, and imports nothing that computes."""
    heavy = ("torch", "torchvision", "sklearn", "PIL", "rich")
    code = (
        "import sys, open_prune; code = open_prune.main(sys.argv[1:]);"
        f"print([name for name in {heavy} if name in sys.modules]); sys.exit(code)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = told.stdout.splitlines()
    assert lines[0] == f"{DENSE if words is TRAIN else PRUNED} replicate 1 is done already."
    assert DENSE in lines[2]
    assert lines[-1] == "[]"
    assert told.stderr == ""


def test_replicates(cli: Cli, root: Path) -> None:
    """Several are trained one after another, each in a directory and with weights of its own."""
    told = cli(*TRAIN, "--replicates=1-3", "--quiet")
    table = [line for line in told.rows if len(line) == 7][1:]
    assert [line[1] for line in table] == ["1", "2", "3"]
    assert len({line[3] for line in table}) == 3
    assert {path.name for path in (root / DENSE).iterdir()} == {f"replicate_{r}" for r in (1, 2, 3)}
    one = cli(*TRAIN, "--replicate=2")
    assert one.out.startswith(f"{DENSE} replicate 2 is done already.")


def test_display_output_location(cli: Cli, root: Path) -> None:
    """The directories are printed, and nothing is made."""
    told = cli(*TRAIN, "--replicates=2,4", "--display_output_location")
    assert told.out.split() == [str(root / DENSE / f"replicate_{r}") for r in (2, 4)]
    assert told.code == 0
    assert not root.exists()


def test_dry_run_of_new_runs(cli: Cli, root: Path) -> None:
    """Parents come first, with the states that are asked of them, and nothing is made."""
    told = cli(*BRANCH, "--dry_run", "--state_step=1ep")
    rows = told.rows[1:3]
    assert [row[2] for row in rows] == ["would start, to 0ep, 1ep", "would start, to its end"]
    assert rows[0][0] == DENSE
    assert not root.exists()


def test_dry_run_of_runs_that_are_there(cli: Cli, done: Path) -> None:
    """What is done is said to be, what is needed and there too, and what is not saved."""
    assert [row[2] for row in cli(*BRANCH, "--dry_run").rows[1:-1]] == ["done already"]
    other = cli(*BRANCH, "--dry_run", "--strategy=random")
    assert [row[2] for row in other.rows[1:3]] == ["done already", "would start, to its end"]
    unsaved = cli(*TRAIN, "--dry_run", "--weight_save_steps=1ep")
    assert unsaved.rows[1][2] == "would make its states again: 1ep"


def test_dry_run_of_a_parent_that_waits(cli: Cli) -> None:
    """A parent that has run as far as was needed has what another branch needs."""
    cli(*BRANCH, "--quiet")
    told = cli(*BRANCH, "--dry_run", "--strategy=random")
    assert [row[2] for row in told.rows[1:3]] == ["has what is needed", "would start, to its end"]
    whole = cli(*TRAIN, "--dry_run")
    assert whole.rows[1][2] == "would continue, to its end"


def test_quiet(cli: Cli) -> None:
    """No progress is shown: the table alone is printed."""
    told = cli(*TRAIN, "--quiet")
    assert [line[:1] for line in told.rows] == [["run"], [DENSE], []]
    assert "epoch" not in told.out


def test_evaluate_only_at_end(cli: Cli, root: Path) -> None:
    """Test accuracy is measured once, and is what it would have been."""
    told = cli(*TRAIN, "--evaluate_only_at_end")
    measured = _measured(root / DENSE / "replicate_1")
    assert {row for row in measured if row[1] == "test"} == {
        ("2", "test", "accuracy"),
        ("2", "test", "loss"),
    }
    assert {row for row in measured if row[1] == "train"} == {
        (epoch, "train", "loss") for epoch in "12"
    }
    often = cli(*TRAIN, f"--root={root}/often")
    assert often.rows[-2][2:4] == told.rows[-2][2:4]


def test_evaluate_on_and_top_k(cli: Cli, root: Path) -> None:
    """The splits and the k that are asked for are measured, and shown."""
    told = cli(*TRAIN, "--evaluate_on=train,validation", "--top_k=3,5", "--validation_fraction=0.1")
    (run,) = root.glob("*/replicate_1")
    names = {"accuracy", "loss", "top3", "top5"}
    assert {(phase, name) for _, phase, name in _measured(run)} == {
        (phase, name) for phase in ("train", "validation") for name in names
    }
    assert "validation top5" in told.out
    assert told.rows[-2][2] == "-"


def test_weight_save_steps(cli: Cli, root: Path) -> None:
    """The weights of these steps are kept beside the first and last, even when asked for late."""
    assert cli(*TRAIN, "--weight_save_steps=1ep,5it").code == 0
    run = root / DENSE / "replicate_1"
    assert _states(run) == {"ep0_it0", "ep0_it5", "ep1_it0", "ep2_it0"}
    assert cli(*TRAIN, "--weight_save_steps=7it").code == 0
    assert _states(run) == {"ep0_it0", "ep0_it5", "ep1_it0", "ep2_it0"}
    assert {path.name for path in (run / "replayed").iterdir()} == {"ep0_it7"}


def test_checkpoint_every(cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are written as often as is asked, and none is left when the run is done."""
    from foundations.run_directory import RunDirectory

    steps: list[str] = []
    save = RunDirectory.save_checkpoint

    def noted(self: RunDirectory, step: object, *rest: object) -> None:
        steps.append(str(step))
        save(self, step, *rest)  # type: ignore[arg-type] # passed on as they are

    monkeypatch.setattr(RunDirectory, "save_checkpoint", noted)
    assert cli(*TRAIN, "--checkpoint_every=10it").code == 0
    assert steps == ["10it", "20it", "1ep7it", "1ep17it"]
    assert not list((root / DENSE / "replicate_1" / "checkpoint").glob("*"))


def test_a_loss_that_is_not_finite(cli: Cli, root: Path) -> None:
    """The run fails with exit code 1 and the iteration, and ls and show say why."""
    told = cli(*TRAIN, "--lr=1e30", "--quiet")
    assert told.code == 1
    assert "The loss is " in told.err
    assert "at iteration" in told.err
    listed = cli("ls")
    assert "failed" in listed.rows[1][2]
    assert "The loss is " in cli("show", "train").out


def test_no_epoch_at_all(cli: Cli) -> None:
    """Training for no step is a run, too: the initialization, evaluated."""
    told = cli(*TRAIN, "--training_steps=0ep")
    assert told.code == 0
    assert told.rows[-2][4] == "100.00 % (592 of 592)"


def test_a_done_run_is_tidied(cli: Cli, done: Path) -> None:
    """What a worker left who was killed just after the seal goes when the run is asked for."""
    checkpoint = done / DENSE / "replicate_1" / "checkpoint" / "ep1_it0"
    checkpoint.mkdir(parents=True)
    (checkpoint / "checkpoint.json").write_text("{}")
    before = (done / DENSE / "replicate_1" / "done.json").read_bytes()
    assert "is done already" in cli(*TRAIN).out
    assert not checkpoint.parent.exists()
    assert (done / DENSE / "replicate_1" / "done.json").read_bytes() == before
