"""What ``interleaved`` refuses before it trains, and where its training ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from branches.interleaved import Interleaved
from foundations.description import RunRef
from foundations.errors import UserError
from foundations.steps import Step
from foundations.store import Store
from tests.branches.branched import on
from tests.branches.runs import dense, pruned, run

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
