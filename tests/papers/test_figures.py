"""Figures: which points are drawn where, and that the same runs give the same bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from branches.describing import branch, describe
from foundations.errors import UserError
from papers import figures
from papers.figures import drawn, traced
from papers.measures import SPARSITY
from papers.paper import Baseline, Curve, Figure, Measure, Point
from papers.writing import pictures
from tests.papers.sealed import ACCURACY, published, results, sealed

if TYPE_CHECKING:
    from pathlib import Path

    from branches.opened import Run

DENSE = describe("digits_lenet_8")
HALF, QUARTER = (branch(DENSE, "oneshot", prune_fraction=part) for part in (0.5, 0.75))
LEVELS = Curve("magnitude", (Point(HALF), Point(QUARTER), Point(None, 0.5, None, published(0.6))))
FIGURE = Figure("figure", "Title", SPARSITY, ACCURACY, (LEVELS,), (Baseline("dense", DENSE),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two replicates of all three runs; of the last, one."""
    for replicate, accuracy in enumerate((0.5, 0.75), start=1):
        sealed(tmp_path, DENSE, replicate, {"test accuracy": accuracy})
        sealed(tmp_path, HALF, replicate, {"test accuracy": accuracy / 2}, kept=50)
    sealed(tmp_path, QUARTER, 1, {"test accuracy": 0.125}, kept=25)
    return tmp_path


def test_points_are_where_they_were_measured(root: Path) -> None:
    """In the units of the axes, with the deviations of the replicates."""
    trace = traced(LEVELS, FIGURE, results(root))
    assert trace.xs == (50.0, 75.0)
    assert trace.ys == (31.25, 12.5)
    assert trace.deviations == pytest.approx((100 * 0.125 / 2**0.5, 0.0))


def test_a_point_may_say_its_own_place_and_height(root: Path) -> None:
    """A number along the axis, or another measure."""
    half = Measure("half of the accuracy", lambda run: _accuracy(run) / 2)
    curve = Curve("other", (Point(HALF, 0.25), Point(HALF, half), Point(HALF, 0.5, half)))
    trace = traced(curve, FIGURE, results(root))
    assert trace.xs == (25.0, 15.625, 50.0)
    assert trace.ys == (31.25, 31.25, 15.625)


def _accuracy(run: Run) -> float:
    return float(run.directory.done()["metrics"]["test accuracy"])


def test_runs_that_are_not_there_are_no_points(tmp_path: Path) -> None:
    """And a figure without any can be drawn."""
    trace = traced(LEVELS, FIGURE, results(tmp_path))
    assert (trace.xs, trace.ys, trace.deviations) == ((), (), ())
    empty = Figure("figure", "", SPARSITY, ACCURACY, (Curve("none", (Point(HALF),)),))
    assert drawn(empty, results(tmp_path), ["png"])["png"].startswith(b"\x89PNG")


def test_the_same_runs_give_the_same_bytes(root: Path) -> None:
    """A PDF says neither when nor by what it was made."""
    first, second = (drawn(FIGURE, results(root), ["pdf", "png"]) for _ in range(2))
    assert first == second
    assert first["pdf"].startswith(b"%PDF")
    assert b"CreationDate" not in first["pdf"]
    assert first["png"].startswith(b"\x89PNG")


@pytest.mark.parametrize("falling", [False, True])
def test_logarithmic_and_falling_axes_are_drawn(root: Path, *, falling: bool) -> None:
    """They are other pictures."""
    other = Figure(
        *("figure", "Title", SPARSITY, ACCURACY, (LEVELS,), FIGURE.baselines),
        log_x=True,
        falling_x=falling,
    )
    assert drawn(other, results(root), ["png"]) != drawn(FIGURE, results(root), ["png"])


def test_what_is_counted_has_whole_numbers_along_its_axis() -> None:
    """Epochs and rounds; there is none at 1.25."""
    from matplotlib.figure import Figure as Canvas

    for digits, whole in ((0, True), (2, False)):
        axes = Canvas().add_subplot()
        axes.plot([1, 2, 3], [0, 1, 2])
        x = Measure("epochs", digits=digits)
        figures._scale(axes, Figure("figure", "", x, ACCURACY, ()))
        assert all(float(tick).is_integer() for tick in axes.get_xticks()) == whole


def test_files_are_named_after_figures(root: Path) -> None:
    """One of each form that is asked for."""
    assert [*pictures((FIGURE,), results(root), ("csv", "pdf", "png"))] == [
        "figure.pdf",
        "figure.png",
    ]
    assert pictures((FIGURE,), results(root), ("markdown",)) == {}


def test_without_matplotlib_a_message_says_how_to_get_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match="pip install matplotlib"):
        drawn(FIGURE, results(root), ["png"])
