"""What ``interleaved`` refuses before it trains, and where its training ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from branches.interleaved import Interleaved
from branches.oneshot import Oneshot
from branches.scratch import Scratch
from foundations.description import RunRef
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from foundations.store import Store
from tests.branches.branched import on
from tests.branches.runs import STEPS, dense, pruned, run

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import BranchDesc, Description


def _rounds(parent: Description | None = None, **flags: Any) -> BranchDesc:
    """Two rounds, each behind two updates, of a branch of ``dense()`` or of another run."""
    rounds: dict[str, Any] = {"prune_every": Step(0, 2), "prune_iterations": 2, **flags}
    return on(parent or dense(), Interleaved(**rounds))


def _begun(root: Path) -> list[str]:
    """The runs of the branch that are there."""
    return [found.name for found in Store(root).runs() if found.name.startswith("interleaved_")]


@pytest.mark.parametrize(
    "flags",
    [
        {"granularity": "nodes", "prune_fraction": 1.0, "minimum_kept": 1},
        {"allocation": "uniform", "prune_fraction": 0.9, "minimum_fraction": 0.2},
        {"allocation": "explicit", "layer_fractions": "fc_layers=.9", "minimum_fraction": 0.3},
    ],
)
def test_minima_that_cannot_be_kept_are_refused_before_training(
    flags: dict[str, Any], tmp_path: Path
) -> None:
    """Not by the last round, when everything before it has been trained."""
    with pytest.raises(UserError, match="Layers keep at least"):
        run(tmp_path / "a", _rounds(**flags))
    assert _begun(tmp_path / "a") == []


def test_so_are_minima_above_the_counts_of_another_run(tmp_path: Path) -> None:
    """Of a layer, whatever all of them keep together."""
    matched = RunRef(pruned(prune_fraction=0.9))
    asked = _rounds(allocation="matched", match_run=matched, minimum_fraction=0.3)
    with pytest.raises(UserError, match="Layers keep at least"):
        run(tmp_path / "a", asked)
    assert _begun(tmp_path / "a") == []


def test_an_end_that_is_stated_is_the_end(tmp_path: Path) -> None:
    """When nothing is left to cut, training goes on to there; and what grows on it knows it."""
    asked = _rounds(
        granularity="nodes",
        cut_units=3,
        minimum_kept=2,
        prune_iterations=5,
        interleaved_training_steps=Step(0, STEPS),
    )
    found = run(tmp_path / "a", asked)
    start = found.fact(Fact.START)
    assert start["facts"]["kept"] == [5, 2]
    assert start["facts"]["stops"].endswith(f"it cuts no more, and trains to {STEPS}it.")
    assert start["end"] == found.digests()[-1].iteration == STEPS
    grown = run(tmp_path / "a", on(asked, Oneshot(granularity="nodes", prune_fraction=0.5)))
    assert grown.fact(Fact.START)["end"] == STEPS


def test_how_scratch_grows_on_an_end_that_is_not_stated_is_said(tmp_path: Path) -> None:
    """It needs a flag, and with that it does."""
    asked = _rounds(granularity="nodes", cut_units=1)
    with pytest.raises(UserError, match="scratch, with --as_dense or --budget=flops"):
        run(tmp_path / "a", on(asked, Scratch()))
    found = run(tmp_path / "a", on(asked, Scratch(as_dense=True)))
    assert found.fact(Fact.START)["end"] == STEPS
    found = run(tmp_path / "a", on(asked, Scratch(budget="flops")))
    assert found.fact(Fact.START)["end"] > 4
