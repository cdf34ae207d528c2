"""``reinit``: new weights under the parent's mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from branches.base import recipe_of
from branches.reinit import Reinit
from branches.scratch import Scratch
from branches.shuffle import Shuffle
from foundations.errors import UserError
from foundations.steps import Step
from models.initializers import INITIALIZERS
from tests.branches.branched import differing, levels, masked, on, opened
from tests.branches.runs import STEPS, dense, pruned

if TYPE_CHECKING:
    from pathlib import Path

    from branches.base import Branch
    from foundations.description import Description


@pytest.mark.parametrize(
    ("parent", "begin"),
    [(pruned(), "0ep"), (levels(2, rewinding_steps="4it")[2], "4it")],
    ids=["oneshot", "late level"],
)
def test_the_mask_stays_and_every_weight_changes(
    parent: Description, begin: str, tmp_path: Path
) -> None:
    """Biases too; it begins where the parent did, and is trained to the end."""
    before, found = opened(tmp_path / "a", parent), opened(tmp_path / "a", on(parent, Reinit()))
    mask = found.mask()
    assert mask == before.mask(begin)
    old, new = before.weights(begin), found.weights(begin)
    assert differing(new, masked(new, mask)) == []
    for name, value in new.items():
        keep = mask.get(name, torch.ones_like(value, dtype=torch.bool))
        assert (value[keep] != old[name][keep]).all()
    iterations = [row.iteration for row in found.directory.digests()]
    assert (iterations[0], iterations[-1]) == (Step.parse(begin).iterations(3), STEPS)


@pytest.mark.parametrize("seed", [None, 7])
def test_it_is_the_reinitialization_of_oneshot(seed: int | None, tmp_path: Path) -> None:
    """Whether a flag of the pruning says so, or a branch after it: the same run, to the end."""
    flag = opened(tmp_path / "a", pruned(reinitialize=True, seed=seed, strategy="magnitude"))
    branch = opened(tmp_path / "a", on(pruned(seed=seed, strategy="magnitude"), Reinit(seed=seed)))
    assert flag.mask() == branch.mask()
    for step in ("0ep", None):
        assert differing(flag.weights(step), branch.weights(step)) == []


def test_the_seed(tmp_path: Path) -> None:
    """Replicates and seeds are drawn differently; one seed is one draw, whatever the replicate.

    Even of a network whose own initialization has a seed set apart.
    """
    parent = pruned(dense(model_seed=1, data_order_seed=1))
    weights = {
        (seed, replicate): opened(tmp_path / "a", on(parent, Reinit(seed=seed)), replicate).weights(
            "0ep"
        )
        for seed in (None, 3, 4)
        for replicate in (1, 2)
    }
    assert differing(weights[3, 1], weights[3, 2]) == []
    for one, other in (((None, 1), (None, 2)), ((3, 1), (4, 1)), ((3, 1), (None, 1))):
        assert len(differing(weights[one], weights[other])) == 4


def test_another_initializer(tmp_path: Path) -> None:
    """Its weights are drawn by it: those of a layer that are binary have one size.

    The run's recipe says so, and that of what grows on it.
    """
    branch = on(pruned(), Reinit(reinit_model_init="binary"))
    found = opened(tmp_path / "a", branch)
    for name, keep in found.mask().items():
        values = found.weights("0ep")[name][keep]
        assert len(set(values.abs().tolist())) == 1
        assert len(set(values.tolist())) == 2
    for description in (branch, on(branch, Shuffle()), on(on(branch, Shuffle()), Reinit())):
        assert recipe_of(description).model.model_init == "binary"
    with pytest.raises(UserError, match="Did you mean 'binary'"):
        Reinit(reinit_model_init="binnary")


@pytest.mark.parametrize(
    "branch", [Reinit(reinit_model_init="binary"), Scratch(scratch_model_init="binary")]
)
def test_a_width_that_only_the_first_initializer_takes_goes_with_it(branch: Branch) -> None:
    """So a network of uniform weights can be drawn by any other; by the same, it keeps its own."""
    uniform = dense(model_init="uniform", init_width=0.05)
    model = recipe_of(on(pruned(uniform), branch)).model
    assert (model.model_init, model.init_width) == ("binary", None)
    same = recipe_of(on(pruned(uniform), Reinit(reinit_model_init="uniform")))
    assert same.model.init_width == 0.05


@pytest.mark.parametrize(
    "branch", [Reinit(reinit_model_init="binary"), Scratch(scratch_model_init="binary")]
)
def test_the_version_of_the_initializer_enters_the_name(
    branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin's, too: its digest is its version."""
    before = branch.canonical()
    monkeypatch.setitem(INITIALIZERS._versions, "binary", 2)
    assert branch.canonical() == {**before, "versions": {"model_init:binary": 2}}


def test_scaled_to_the_inputs_that_are_left(tmp_path: Path) -> None:
    """The variance is 2 over the weights that are left for each output; biases stay."""
    parent = pruned(strategy="random", prune_fraction=0.5)
    plain, scaled = (
        opened(tmp_path / "a", on(parent, Reinit(scaled=scaled))) for scaled in (False, True)
    )
    mask = scaled.mask()
    old, new = plain.weights("0ep"), scaled.weights("0ep")
    for name, keep in mask.items():
        left = keep.double().sum(1).mean().item()
        whole = keep.shape[1]
        factors = new[name][keep].double() / old[name][keep].double()
        assert torch.allclose(factors, torch.tensor((whole / left) ** 0.5).double(), rtol=1e-6)
        squares = new[name][keep].double().square()
        deviation = math.sqrt(2 / len(squares))  # of their mean, relative
        assert squares.mean().item() == pytest.approx(2 / left, rel=4 * deviation)
    assert (
        differing(
            {name: new[name] for name in new if name not in mask},
            {name: old[name] for name in old if name not in mask},
        )
        == []
    )


def test_where_the_schedule_begins(tmp_path: Path) -> None:
    """At --start_step, whatever the parent's beginning; the weights are the same."""
    level = levels(1, rewinding_steps="4it")[1]
    late, early = (
        opened(tmp_path / "a", on(level, Reinit(start_step=step))) for step in (None, Step())
    )
    assert [run.directory.digests()[0].iteration for run in (late, early)] == [4, 0]
    assert differing(late.weights("4it"), early.weights("0ep")) == []
    assert late.mask() == early.mask()


def test_a_dense_parent_is_drawn_anew(tmp_path: Path) -> None:
    """As another replicate would be: everything is kept."""
    before, found = opened(tmp_path / "a", dense()), opened(tmp_path / "a", on(dense(), Reinit()))
    assert found.mask().density == 1
    assert len(differing(before.weights("0ep"), found.weights("0ep"))) == 4
    scaled = opened(tmp_path / "a", on(dense(), Reinit(scaled=True)))
    assert differing(scaled.weights(), found.weights()) == []
