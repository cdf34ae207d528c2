"""``paper``: what is run, what is printed and written, and what is said of failures."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from branches import KINDS
from branches.describing import branch, describe
from foundations.run_directory import Fact
from foundations.store import Store
from papers import PAPERS
from papers.paper import Cell, Measure, Paper, Scale
from tests.papers.sealed import ACCURACY, sealed, study
from training.hparams import RunOptions

if TYPE_CHECKING:
    from papers.paper import Study
    from tests.commands.conftest import Cli, Told

FILES = {"table.md", "table.csv", "table.tex"}
SMOKE = ("--scale=smoke", "--workers=1", "--threads=1", "--quiet")

DENSE = describe("digits_lenet_8", training_steps="1ep")
DIVERGED = describe("digits_lenet_8", training_steps="1ep", lr=1e30)
BLOCKED = branch(DIVERGED, "lottery_rewind")


SLOWER = describe("digits_lenet_8", training_steps="1ep", lr=0.05)
OTHER = describe("digits_lenet_8", training_steps="1ep", lr=0.2)
TOP_3, TOP = Measure("test top3"), RunOptions(top_k=(3,))


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Paper:
    """A paper of three tables that share a run, of which the last records more."""
    tables = {
        "one": study({("dense", "lr 0.1"): Cell(DENSE, ACCURACY)}),
        "both": study(
            {
                ("dense", "lr 0.1"): Cell(DENSE, ACCURACY),
                ("dense", "lr 0.05"): Cell(SLOWER, ACCURACY),
            }
        ),
        "top": replace(study({("dense", "lr 0.2"): Cell(OTHER, TOP_3)}), options=TOP),
    }
    paper = Paper("three", "Three", "", {name: partial(_given, tables[name]) for name in tables})
    monkeypatch.setitem(PAPERS._entries, "three", paper)
    return paper


def _given(made: Study, _: Scale) -> Study:
    return made


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Paper:
    """A paper of three runs: one that trains, one that diverges, and one that grows on that."""
    cells = {
        ("dense", "lr 0.1"): Cell(DENSE, ACCURACY),
        ("dense", "lr 1e30"): Cell(DIVERGED, ACCURACY),
        ("pruned", "lr 1e30"): Cell(BLOCKED, ACCURACY),
    }
    paper = Paper("made_up", "Made Up", "Nobody, 2020.", {"one": lambda _: study(cells)})
    monkeypatch.setitem(PAPERS._entries, "made_up", paper)
    return paper


def paths(told: Told) -> list[Path]:
    """The files that a command says it wrote."""
    return [Path(line) for line in told.out.splitlines() if line.startswith("/")]


def row(head: str, told: Told) -> list[str]:
    """The cells of a row of the table that is printed."""
    lines = [line.strip("|").split("|") for line in told.out.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in cells] for cells in lines]
    return next(cells for name, *cells in found if name == head)


def test_papers_and_their_tables_are_listed(cli: Cli) -> None:
    """Each with its title."""
    told = cli("paper")
    assert told.code == 0
    for name in PAPERS:
        assert f"{name}: {PAPERS[name].title}\n  {PAPERS[name].citation}\n" in told.out
        assert all(f"\n  --table={table}\n" in f"{told.out}\n" for table in PAPERS[name].studies)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lotery", "--table=mnist"), "There is no paper 'lotery'. Did you mean 'lottery'?"),
        (("lottery", "--table=minst"), "no table of lottery 'minst'. Did you mean 'mnist'?"),
        (("lottery",), "Which --table of lottery? Known: mnist, resnet20, vgg16; or several "),
        (("lottery", "--table=all,minst"), "no table of lottery 'minst'. Did you mean 'mnist'?"),
        (("--table=mnist",), "Which paper? Known: "),
        (("lottery", "--scale=smoky"), "There is no scale 'smoky'. Did you mean 'smoke'?"),
        (("lottery", "--format=ltex"), "There is no format 'ltex'. Did you mean 'latex'?"),
        (("lottery", "--no_run", "--dry_run"), "--dry_run says what would run"),
        (("lottery", "--table=mnist", "--no_run", "--replicates=x"), "is not a list of numbers"),
    ],
)
def test_mistakes_are_answered(cli: Cli, words: tuple[str, ...], said: str) -> None:
    """With what was probably meant, and without a traceback."""
    told = cli("paper", *words)
    assert (told.code, told.out) == (2, "")
    assert said in told.err


def test_a_dry_run_runs_nothing(cli: Cli, root: Path) -> None:
    """It lists the runs of the table, and writes no file."""
    told = cli("paper", "missing_the_mark", "--table=resnet20", "--scale=smoke", "--dry_run")
    assert told.code == 0
    runs = PAPERS["missing_the_mark"].studies["resnet20"](Scale.SMOKE).runs
    assert all(run.name in told.out for run in runs)
    assert not root.exists()


def test_what_is_not_there_is_a_dash(cli: Cli, root: Path, tmp_path: Path) -> None:
    """Nothing is run, and the files are where they are asked for."""
    folder = tmp_path / "table"
    words = ("lottery", "--table=mnist", "--no_run", f"--output={folder}", "--replicates=1,2")
    told = cli("paper", *words)
    assert told.code == 0
    assert row("level 10", told) == ["-"] * 5
    assert "62 of 62 runs are not done (62 missing)" in told.out
    assert [path.name for path in paths(told)][:3] == ["table.md", "table.csv", "table.tex"]
    assert {path.name for path in folder.iterdir()} == {path.name for path in paths(told)} > FILES
    assert not root.exists()


def test_only_the_formats_that_are_asked_for_are_written(cli: Cli, root: Path) -> None:
    """Below the results root, where nothing else is said; they are no run of their own."""
    told = cli("paper", "lottery", "--table=mnist", "--no_run", "--format=csv,png")
    folder = root / "papers" / "lottery_mnist_full"
    figures = ("figure", "figure_compression", "figure_early_stop")
    assert paths(told) == [folder / "table.csv", *(folder / f"{name}.png" for name in figures)]
    assert Store(root).runs() == []


def test_replicates_that_are_there_are_counted(cli: Cli, root: Path) -> None:
    """Mean and deviation are over them."""
    dense = PAPERS["lottery"].studies["mnist"](Scale.FULL).runs[0]
    sealed(root, dense, 2, {"test accuracy": 0.98})
    sealed(root, dense, 4, {"test accuracy": 0.97})
    words = ("paper", "lottery", "--table=mnist", "--no_run", "--format=markdown")
    assert row("level 0", cli(*words))[:2] == ["100.0 % (2 of 5)", "97.50 ± 0.71 % (2 of 5)"]
    assert row("level 0", cli(*words, "--replicates=4"))[:2] == ["100.0 %", "97.00 %"]


def test_without_matplotlib_there_are_tables_alone(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a word on how to get it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = cli("paper", "lottery", "--table=mnist", "--no_run")
    assert told.code == 0
    assert {path.name for path in paths(told)} == FILES
    assert "No figures: Figures need matplotlib: pip install matplotlib." in told.out


def test_a_failed_run_never_stops_the_others(cli: Cli, made_up: Paper, root: Path) -> None:
    """The table is printed, with what failed and why; the exit code says so too."""
    told = cli("paper", made_up.name, "--table=one", *SMOKE)
    assert told.code == 1
    accuracy = Store(root).run(DENSE, 1).done()["metrics"]["test accuracy"]
    assert row("dense", told)[:2] == [f"{100 * accuracy:.2f}", "-"]
    assert "2 of 3 runs are not done (1 failed, 1 missing)" in told.out
    assert f"{DIVERGED.name}/replicate_1 failed: " in told.out
    assert f"{DIVERGED.name}/replicate_1 failed: " in told.err
    assert "Traceback" not in told.err


def test_all_tables_of_a_paper_are_one_command(cli: Cli, three: Paper, root: Path) -> None:
    """Runs that they share are trained once; each table has its folder, and records its own."""
    told = cli("paper", three.name, "--table=all", *SMOKE, "--format=csv")
    assert (told.code, told.err) == (0, "")
    assert len(Store(root).runs()) == 3
    folders = [root / "papers" / f"three_{name}_smoke" for name in three.studies]
    assert paths(told) == [folder / "table.csv" for folder in folders]
    assert told.out.count("**A table.") == 3
    top = Store(root).run(OTHER, 1).done()["metrics"]["test top3"]
    assert f"| {top:.4f} |" in told.out


def test_several_tables_are_kept_apart_in_one_folder(cli: Cli, three: Paper, root: Path) -> None:
    """Under their names; a single one is right there."""
    words = ("paper", three.name, "--no_run", "--format=csv", f"--output={root}")
    both = cli(*words, "--table=top,one,top")
    assert paths(both) == [root / "top" / "table.csv", root / "one" / "table.csv"]
    assert paths(cli(*words, "--table=one")) == [root / "table.csv"]


def test_the_only_table_of_a_paper_needs_no_name(cli: Cli, made_up: Paper) -> None:
    """There is nothing to choose."""
    assert row("dense", cli("paper", made_up.name, "--no_run", "--format=csv"))[:2] == ["-", "-"]


def test_what_failed_is_planned_again_only_when_asked(cli: Cli, made_up: Paper, root: Path) -> None:
    """A dry run says what the same command without it would do."""
    run = Store(root).run(DIVERGED, 1)
    run.prepare(DIVERGED, KINDS)
    run.write_fact(Fact.FAILED, {"reason": "It diverged."})
    words = ("paper", made_up.name, "--dry_run")
    told = [cli(*words), cli(*words, "--retry")]
    plans = [next(line for line in t.out.splitlines() if DIVERGED.name in line) for t in told]
    assert ["would try again" in plan for plan in plans] == [False, True]


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(
    cli: Cli, made_up: Paper, root: Path, tmp_path: Path
) -> None:
    """What is trained for days is shown in the end."""
    (tmp_path / "file").touch()
    told = cli("paper", made_up.name, *SMOKE, f"--output={tmp_path / 'file'}")
    assert told.code == 2
    assert "file should be a directory, and is something else." in told.err
    assert not root.exists()


@pytest.mark.slow
def test_missing_the_mark_from_end_to_end(cli: Cli, root: Path) -> None:
    """Every run of three tables is done; the same again, drawn too, runs nothing."""
    words = ("paper", "missing_the_mark", *SMOKE)
    tables = ("resnet20", "resnet20_ablations", "resnet20_after_training")
    told = cli(*words, f"--table={','.join(tables)}", "--format=csv")
    assert (told.code, told.err) == (0, "")
    assert is_what_the_runs_say(told, root) == 8 * 3 + 7 * 4 * 2 + 6 * 3
    before = logs(root)
    again = cli(*words, "--table=resnet20")
    assert {path.suffix for path in paths(again)} == {".md", ".csv", ".tex", ".pdf", ".png"}
    assert all(path.stat().st_size for path in paths(again))
    assert logs(root) == before


@pytest.mark.slow
def test_lotteries_from_end_to_end(cli: Cli, root: Path) -> None:
    """From the initialization, and from a step behind it."""
    told = cli("paper", "lottery", "--table=mnist,resnet20", *SMOKE, "--format=csv")
    assert (told.code, told.err) == (0, "")
    assert is_what_the_runs_say(told, root) == 2 * 4 * 4


def logs(root: Path) -> dict[Path, str]:
    """What every run has told, to which each that is carried out adds."""
    found = {path: path.read_text() for path in root.glob("*/*/log.txt")}
    assert found
    return found


def is_what_the_runs_say(told: Told, root: Path) -> int:
    """How many cells the CSV files have, each of which is checked against its run's directory."""
    files = [path for path in paths(told) if path.suffix == ".csv"]
    cells = [cell for file in files for cell in csv.DictReader(file.read_text().splitlines())]
    runs = {run.name: run for run in Store(root).runs()}
    for cell in cells:
        run = runs[cell["runs"]]
        counts = run.fact(Fact.SPARSITY)
        expected = run.done()["metrics"]["test accuracy"]
        if cell["column"] == "weights left":
            expected = counts["kept"] / counts["total"]
        assert (float(cell["mean"]), cell["replicates"]) == (expected, "1")
    return len(cells)
