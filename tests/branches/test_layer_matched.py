"""``layer_matched``: a random mask that keeps as many of each layer as another run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from branches.layer_matched import LayerMatched
from branches.shuffle import Shuffle
from foundations.description import RunRef
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from foundations.store import Store
from tests.branches.branched import differing, levels, masked, on, opened
from tests.branches.runs import dense, options, pruned, run

if TYPE_CHECKING:
    from pathlib import Path

    from branches.opened import Run
    from foundations.description import Description


def _fits(found: Run, weights: Run, counted: Run, step: str) -> None:
    """Another mask of the same counts, on dense weights, none of them zero."""
    mask, counts = found.mask(), counted.mask()
    assert mask.layers == counts.layers
    assert not any((mask[name] == counts[name]).all() for name in mask)
    begin = found.weights(step)
    assert differing(begin, masked(weights.weights(step), mask)) == []
    assert all((begin[name][keep] != 0).all() for name, keep in mask.items())
    assert found.directory.digests()[0].iteration == Step.parse(step).iterations(3)


@pytest.mark.parametrize("step", ["0ep", "4it"])
def test_the_counts_of_the_parent(step: str, tmp_path: Path) -> None:
    """By default, on the weights that the parent's own survivors went back to."""
    level = levels(2, rewinding_steps=step)[2]
    run(tmp_path / "a", dense(), options(weight_save_steps=step))
    source = opened(tmp_path / "a", dense())
    found = opened(tmp_path / "a", on(level, LayerMatched()))
    _fits(found, source, opened(tmp_path / "a", level), step)


@pytest.mark.parametrize("parent", [dense(), pruned(prune_fraction=0.5)], ids=["dense", "pruned"])
def test_the_counts_of_another_run(parent: Description, tmp_path: Path) -> None:
    """On the dense weights of the parent: also those that the parent's own mask had cut."""
    other = pruned(strategy="snip2")
    found = opened(tmp_path / "a", on(parent, LayerMatched(counts_of=RunRef(other))))
    source = opened(tmp_path / "a", dense())
    _fits(found, source, opened(tmp_path / "a", other), "0ep")


def test_a_replicate_of_another_run(tmp_path: Path) -> None:
    """One that is named with its replicate is that one, whichever this run is."""
    other = pruned(strategy="snip2")
    branch = on(dense(), LayerMatched(counts_of=RunRef(other, 2)))
    counts = [opened(tmp_path / "a", other, replicate).mask().layers for replicate in (1, 2)]
    assert counts[0] != counts[1]
    assert opened(tmp_path / "a", branch, 1).mask().layers == counts[1]


def test_it_is_no_shuffle(tmp_path: Path) -> None:
    """Of one seed, the two make different masks, so that one can stand beside the other."""
    one, other = (
        opened(tmp_path / "a", on(pruned(), each)) for each in (LayerMatched(), Shuffle())
    )
    assert one.mask().layers == other.mask().layers
    assert one.mask() != other.mask()


def test_the_seed(tmp_path: Path) -> None:
    """Replicates have other masks of the same counts, unless a seed is given."""
    parent = pruned(dense(model_seed=1, data_order_seed=1))
    masks = {
        (seed, replicate): opened(
            tmp_path / "a", on(parent, LayerMatched(seed=seed)), replicate
        ).mask()
        for seed in (None, 3)
        for replicate in (1, 2)
    }
    assert masks[None, 1].layers == masks[None, 2].layers
    assert masks[None, 1] != masks[None, 2]
    assert masks[3, 1] == masks[3, 2]


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({}, "of its parent or of --counts_of, which is not pruned: name a run that is"),
        ({"counts_of": RunRef(dense(lr=0.05))}, r"of train_[0-9a-f]{16}, which is not pruned"),
        (
            {"counts_of": RunRef(pruned(dense(model_name="digits_lenet_9")))},
            r"fc\.weight has the shape \(10, 9\) there and \(10, 8\)",
        ),
    ],
    ids=["dense parent", "dense other", "other network"],
)
def test_what_has_no_counts_is_refused(
    hparams: dict[str, RunRef], message: str, tmp_path: Path
) -> None:
    """The message names the run, and nothing of the branch is begun."""
    branch = on(dense(), LayerMatched(**hparams))  # type: ignore[arg-type] # no seed is among them
    with pytest.raises(UserError, match=message):
        run(tmp_path / "a", branch)
    assert Store(tmp_path / "a").run(branch, 1).fact(Fact.START) is None
