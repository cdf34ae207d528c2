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
from tests.branches.branched import on, opened
from tests.branches.runs import STEPS, dense, pruned, run

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import BranchDesc, Description

RESNET = "cifar_resnet_8_4"
NORMS = {"strategy": "bn_taylor", "granularity": "channels", "coupling": "inner"}


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
    with pytest.raises(UserError, match="scratch, with --as_dense"):
        run(tmp_path / "a", on(asked, Scratch()))
    found = run(tmp_path / "a", on(asked, Scratch(as_dense=True)))
    assert found.fact(Fact.START)["end"] == STEPS
    found = run(tmp_path / "a", on(asked, Scratch(budget="flops", as_dense=True)))
    assert found.fact(Fact.START)["end"] > STEPS


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"score_per_class": 3}, "score_per_class=3 is not allowed: --track=all scores by the"),
        ({"score_examples": 9}, "score_examples"),
        ({"score_batches": 1}, "score_batches"),
        ({"score_batch_size": 9}, "score_batch_size"),
        ({"score_mode": "train"}, "score_mode"),
        ({"score_temperature": 2.0}, "score_temperature"),
        ({"score_precision": "float64"}, "score_precision"),
        ({"score_augmented": True}, "score_augmented"),
        (
            {"strategy": "snip3"},
            "strategy='snip3' is not allowed: .* not by examples of each class",
        ),
    ],
)
def test_what_tracking_passes_over_is_refused(flags: dict[str, Any], message: str) -> None:
    """It would be a part of the name, and of nothing else; without tracking it says something."""
    with pytest.raises(UserError, match=message):
        _rounds(track="all", **{"strategy": "wg", **flags})
    assert _rounds(**{"strategy": "wg", **flags})


def test_counted_units_are_not_those_of_n_of_m() -> None:
    """Four of them cut would leave no two of each four."""
    with pytest.raises(UserError, match="granularity='n_m' is not allowed: n_m says how many"):
        Interleaved(cut_units=4, granularity="n_m")


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ({"others_frozen": True}, {"strategy": "wg", "granularity": "nodes"}),
        ({"output_frozen": True}, {"strategy": "w2g"}),
        ({"model_name": RESNET, "batchnorm_frozen": True}, NORMS),
    ],
)
def test_gradients_of_what_is_frozen_cannot_be_tracked(
    model: dict[str, Any], flags: dict[str, Any], tmp_path: Path
) -> None:
    """Training finds none: that is said before it begins, with what can be done."""
    with pytest.raises(UserError, match=r"Frozen, .*: .*(fc|bn)\S*\.weight.*Leave out --track"):
        run(tmp_path / "a", _rounds(dense(**model), track="all", **flags))
    assert _begun(tmp_path / "a") == []


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ({"output_frozen": True}, {"strategy": "w2g", "layers_to_ignore": ("fc.weight",)}),
        ({"others_frozen": True}, {"strategy": "fisher_activations", "granularity": "nodes"}),
        ({"batchnorm_frozen": True, "model_name": RESNET}, {"strategy": "wg"}),
    ],
)
def test_what_is_frozen_and_not_scored_by_its_gradient_does_not_matter(
    model: dict[str, Any], flags: dict[str, Any], tmp_path: Path
) -> None:
    """It is ignored, or activations are scored, or it is another tensor."""
    found = run(tmp_path / "a", _rounds(dense(**model), track="all", prune_fraction=0.5, **flags))
    assert [row.iteration for row in found.metrics() if row.phase == "mask"] == [2, 4]


def test_gates_are_scored_in_the_arithmetic_of_the_run(tmp_path: Path) -> None:
    """In float64 the same ones are cut as in float32, before training and amid it."""
    masks = {}
    for numerics in ("float32", "float64"):
        parent = dense(numerics=numerics, lr=0.01)
        branch = _rounds(parent, granularity="gates", strategy="gate_saliency", prune_fraction=0.5)
        grown = pruned(parent, granularity="gates", strategy="gate_saliency", prune_fraction=0.5)
        masks[numerics] = [opened(tmp_path / "a", each).mask() for each in (branch, grown)]
    assert masks["float32"] == masks["float64"]
    assert all(mask.kept < mask.total for mask in masks["float64"])
