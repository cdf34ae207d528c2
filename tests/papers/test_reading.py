"""Numbers over replicates, exactly, and runs that are not there."""

from __future__ import annotations

from statistics import stdev
from typing import TYPE_CHECKING

import pytest

from branches.describing import branch, describe
from foundations.files import write_text
from foundations.run_directory import Fact
from papers.measures import COMPRESSION, LOSS, SPARSITY, WEIGHTS_LEFT
from papers.notes import notes
from papers.paper import Baseline, Cell, Curve, Figure, Measure, Point, Table
from papers.reading import Found, Spread
from tests.papers.sealed import ACCURACY, PAPER, published, results, sealed, study

if TYPE_CHECKING:
    from pathlib import Path

    from branches.opened import Run

DENSE = describe("digits_lenet_8")
PRUNED = branch(DENSE, "oneshot", prune_fraction=0.75)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two replicates of a dense run, and one of a pruned one."""
    sealed(tmp_path, DENSE, 1, {"test accuracy": 0.5})
    sealed(tmp_path, DENSE, 2, {"test accuracy": 0.75})
    sealed(tmp_path, PRUNED, 1, {"test accuracy": 0.25}, kept=25)
    return tmp_path


def test_mean_and_deviation_are_those_of_a_sample() -> None:
    """The deviation is over n - 1; another implementation agrees."""
    values = (0.91, 0.93, 0.97)
    assert Spread(values).mean == pytest.approx(0.93666666666666667, abs=1e-15)
    assert Spread(values).deviation == pytest.approx(stdev(values), rel=1e-12)
    assert Spread((1.0, 3.0)).deviation == 2**0.5


def test_few_replicates_have_no_deviation() -> None:
    """One has a mean alone, none has neither."""
    assert (Spread((0.5,)).mean, Spread((0.5,)).deviation) == (0.5, None)
    assert (Spread().mean, Spread().deviation, Spread().count) == (None, None, 0)


def test_equal_replicates_have_a_deviation_of_zero() -> None:
    """Not of what is lost in rounding their mean."""
    assert Spread((0.1,) * 3).deviation == 0.0


def test_end_metrics_are_read_from_the_replicates_that_are_done(root: Path) -> None:
    """In their order; the third replicate is not there."""
    assert results(root).of((DENSE,), ACCURACY).values == (0.5, 0.75)


def test_what_was_not_measured_is_left_out(root: Path) -> None:
    """A metric that no run has has no values."""
    assert results(root).of((DENSE,), LOSS).values == ()


def test_sparsity_is_what_was_counted(root: Path) -> None:
    """25 of 100 weights are a sparsity of 0.75 and a compression of 4."""
    found = results(root)
    counted = [found.of((PRUNED,), one).values for one in (WEIGHTS_LEFT, SPARSITY, COMPRESSION)]
    assert counted == [(0.25,), (0.75,), (4.0,)]


def test_nothing_left_has_no_compression(tmp_path: Path) -> None:
    """One cannot divide by it."""
    sealed(tmp_path, DENSE, 1, {}, kept=0)
    assert results(tmp_path).of((DENSE,), COMPRESSION).values == ()


def test_a_measure_of_several_runs_is_given_all_of_a_replicate(root: Path) -> None:
    """In the order of the cell, and only where all are done."""

    def difference(dense: Run, pruned: Run) -> float:
        first, second = (run.directory.done()["metrics"] for run in (dense, pruned))
        return float(first["test accuracy"] - second["test accuracy"])

    cell = Cell(DENSE, Measure("what pruning costs", difference), also=(PRUNED,))
    assert cell.runs == (DENSE, PRUNED)
    assert results(root).of(cell.runs, cell.measure).values == (0.25,)


def test_the_difference_is_from_the_published_number(root: Path) -> None:
    """Measured less published, of the mean; none where either lacks."""
    found = results(root).of((DENSE,), ACCURACY)
    assert Found(Cell(DENSE, ACCURACY, published(0.5)), found).difference == 0.125
    assert Found(Cell(DENSE, ACCURACY), found).difference is None
    assert Found(Cell(DENSE, ACCURACY, published(0.5)), Spread()).difference is None


def test_a_study_has_each_of_its_runs_once() -> None:
    """Those of cells first, then of curves and level lines."""
    other = branch(DENSE, "oneshot", prune_fraction=0.5)
    curve = Curve("magnitude", (Point(other), Point(PRUNED), Point(None, x=0.5)))
    figure = Figure("figure", "", SPARSITY, ACCURACY, (curve,), (Baseline("dense", DENSE),))
    cells = {
        ("magnitude", "75 %"): Cell(PRUNED, ACCURACY),
        ("magnitude", "there"): Cell(None, ACCURACY, published(0.5)),
    }
    assert study(cells, figure).runs == (PRUNED, other, DENSE)


def test_what_is_not_done_is_counted_and_failures_are_named(root: Path) -> None:
    """With its reason, of a run that failed."""
    failed = sealed(root, PRUNED, 2, {}).path
    (failed / "done.json").unlink()
    write_text(failed / Fact.FAILED.value, '{"reason": "Its loss is\\nnot finite."}')
    cells = {("a", "b"): Cell(DENSE, ACCURACY), ("c", "b"): Cell(PRUNED, ACCURACY)}
    lines = notes(PAPER, study(cells), results(root))
    assert lines == (
        "No published number of this table is at hand. Paper: Nobody, 2020.",
        "3 of 6 runs are not done (1 failed, 2 missing): a dash, or fewer replicates.",
        f"- {PRUNED.name}/replicate_2 failed: Its loss is not finite.",
    )


def test_a_damaged_run_is_named_and_counts_for_nothing(root: Path) -> None:
    """The others are read."""
    path = sealed(root, DENSE, 3, {"test accuracy": 1.0}).path / "done.json"
    path.write_text("{")
    found, cells = results(root), {("a", "b"): Cell(DENSE, ACCURACY, published(0.5))}
    assert found.of((DENSE,), ACCURACY).values == (0.5, 0.75)
    source, lacking, damage = notes(PAPER, study(cells), found)
    assert source == "Published: Nobody, 2020. (Table 1)"
    assert lacking.startswith("1 of 3 runs are not done (1 damaged)")
    assert damage.startswith(f"- {DENSE.name}/replicate_3 damaged: {path}")


def test_a_cell_outside_of_the_table_is_a_mistake() -> None:
    """Of whoever wrote the paper."""
    with pytest.raises(ValueError, match="No such row and column"):
        Table("", "", ("a",), ("b",), {("a", "c"): Cell(DENSE, ACCURACY)})
