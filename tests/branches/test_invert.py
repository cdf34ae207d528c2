"""``invert``: what the parent's pruning would have kept last, kept first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from branches.invert import Invert
from branches.lottery_rewind import LotteryRewind
from branches.oneshot import Oneshot
from branches.reinit import Reinit
from branches.shuffle import Shuffle
from foundations.description import BranchDesc
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.store import Store
from tests.branches.branched import differing, levels, masked, on, opened
from tests.branches.runs import DECAYED, contents, dense, pruned, run

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description

PARENTS = {
    "oneshot": pruned(strategy="snip2"),
    "two rounds, late": pruned(
        dense(**DECAYED), prune_step="4ep", state_step="4it", prune_iterations=2
    ),
    "shuffled": pruned(randomize_layerwise=True, seed=4),
    "level": levels(2, dense(**DECAYED), "4it")[2],
}


@pytest.mark.parametrize("name", PARENTS)
def test_it_is_the_parent_with_prune_highest(name: str, tmp_path: Path) -> None:
    """Bit by bit, to the end: states, metrics and all but the name."""
    parent = PARENTS[name]
    assert isinstance(parent, BranchDesc)
    assert isinstance(parent.branch, Oneshot | LotteryRewind)
    highest = replace(parent, branch=replace(parent.branch, prune_highest=True))
    inverted = on(parent, Invert())
    for description in (highest, inverted):
        run(tmp_path / "a", description)
    everything = contents(tmp_path / "a")
    one, other = (
        {
            path.removeprefix(description.name): data
            for path, data in everything.items()
            if path.startswith(description.name)
            and not path.endswith(("hparams.json", "done.json"))
        }
        for description in (highest, inverted)
    )
    assert one == other
    assert any(path.endswith("mask.safetensors") for path in one)


def test_it_keeps_what_the_parent_cut(tmp_path: Path) -> None:
    """At a half of the weights, exactly the others; and back again where that was inverted."""
    parent = pruned(prune_fraction=0.5)
    back = pruned(prune_fraction=0.5, prune_highest=True)
    kept, others = (opened(tmp_path / "a", each).mask() for each in (parent, on(parent, Invert())))
    assert all((others[name] == ~keep).all() for name, keep in kept.items())
    assert opened(tmp_path / "a", on(back, Invert())).mask() == kept


def test_branches_of_an_inverted_run(tmp_path: Path) -> None:
    """Its mask is shuffled on the dense weights, and reinitialized."""
    inverted = on(pruned(), Invert())
    mask = opened(tmp_path / "a", inverted).mask()
    shuffled = opened(tmp_path / "a", on(inverted, Shuffle()))
    assert shuffled.mask().layers == mask.layers
    weights = opened(tmp_path / "a", dense()).weights("0ep")
    assert differing(shuffled.weights("0ep"), masked(weights, shuffled.mask())) == []
    assert opened(tmp_path / "a", on(inverted, Reinit())).mask() == mask


@pytest.mark.parametrize(
    "parent", [dense(), on(pruned(), Shuffle()), on(pruned(), Invert())], ids=lambda run: run.kind
)
def test_what_did_not_prune_by_scores_is_refused(parent: Description, tmp_path: Path) -> None:
    """The message names it, and says what can be inverted."""
    branch = BranchDesc(parent=parent, branch=Invert())
    with pytest.raises(UserError, match=f"{parent.name} did not prune by scores: name a run that"):
        run(tmp_path / "a", branch)
    assert Store(tmp_path / "a").run(branch, 1).fact(Fact.START) is None
