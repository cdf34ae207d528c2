"""The ``scratch`` branch: the parent's mask, new weights, and as many epochs or FLOPs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from branches.finetune import Finetune
from branches.interleaved import Interleaved
from branches.lottery_rewind import LotteryRewind
from branches.oneshot import Oneshot
from branches.opened import Run
from branches.reinit import Reinit
from branches.run import Job, state_of
from branches.scratch import Scratch
from branches.shuffle import Shuffle
from commands.plan import plan
from foundations.description import BranchDesc, RunRef
from foundations.draws import generator, key
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from foundations.store import Store
from tests.branches.runs import PER_EPOCH, STEPS, context, dense, options, pruned, run
from training.hparams import TrainingHparams

if TYPE_CHECKING:
    from pathlib import Path

    from branches.base import Branch
    from foundations.description import Description

MODEL = "cifar_resnet_8_4"
FACTOR = 4
"""The dense network's multiply-accumulates over the pruned one's, of ``_quarter``."""


def _scratch(parent: Description | None = None, **flags: Any) -> BranchDesc:
    return BranchDesc(parent=parent or pruned(), branch=Scratch(**flags))


def _quarter(**flags: Any) -> BranchDesc:
    """A network of linear layers that keeps a fourth of its weights, all of them on a path."""
    return pruned(dense(**flags), strategy="random", prune_fraction=0.75, allocation="uniform")


def _opened(root: Path, description: Description, **recorded: Any) -> Run:
    return Run(run(root, description, options(**recorded)), root.parent / "data")


def test_the_mask_stays_and_the_weights_are_new(tmp_path: Path) -> None:
    """Whatever the parent kept; what it cut is zero from the first state to the last."""
    found = _opened(tmp_path / "a", _scratch())
    parent = Run(Store(tmp_path / "a").run(pruned(), 1), tmp_path / "data")
    mask, before, first = found.mask("0ep"), parent.weights("0ep"), found.weights("0ep")
    assert mask == found.mask() == parent.mask("0ep")
    assert mask.kept < mask.total
    for name, keep in mask.items():
        assert (first[name][~keep] == 0).all()
        assert (found.weights()[name][~keep] == 0).all()
        assert (first[name][keep] != before[name][keep]).all()
    assert [row.iteration for row in found.directory.digests()] == [0, 3, 6, 9, STEPS]


def test_weights_are_drawn_for_what_is_left(tmp_path: Path) -> None:
    """The plain ones times the root of all over what is left, layer by layer; no more is scaled."""
    fitted, plain = (_opened(tmp_path / "a", _scratch(plain=plain)) for plain in (False, True))
    mask, one, two = fitted.mask("0ep"), fitted.weights("0ep"), plain.weights("0ep")
    for name, (kept, total) in mask.layers.items():
        expected = two[name].double() * (total / kept) ** 0.5
        torch.testing.assert_close(one[name].double(), expected, rtol=1e-6, atol=0)
    for name in one.keys() - mask.keys():
        assert torch.equal(one[name], two[name])


def test_another_mask_goes_on_the_same_draw(tmp_path: Path) -> None:
    """A plain draw is shuffled with the values that the dense network would have."""
    parent = _scratch(plain=True, seed=3)
    shuffled = _opened(tmp_path / "a", BranchDesc(parent=parent, branch=Shuffle()))
    found = Run(run(tmp_path / "a", parent), tmp_path / "data")
    one, two = shuffled.mask("0ep"), found.mask("0ep")
    for name, keep in one.items():
        both = keep & two[name]
        first, second = (each.weights("0ep")[name] for each in (shuffled, found))
        assert torch.equal(first[both], second[both])
        assert (first[keep] != 0).all()
    assert one != two


def test_another_mask_on_a_fitted_draw_is_refused(tmp_path: Path) -> None:
    """What was drawn for one mask is for no other."""
    branch = BranchDesc(parent=_scratch(), branch=Shuffle())
    with pytest.raises(UserError, match="depends on the mask, unless --plain"):
        run(tmp_path / "a", branch)


def test_the_initialization_follows_seed_and_initializer(tmp_path: Path) -> None:
    """Other seeds and initializers give other weights."""
    runs = [
        _opened(tmp_path / "a", _scratch(plain=True, **flags))
        for flags in ({}, {"seed": 9}, {"scratch_model_init": "kaiming_fan_out"})
    ]
    heads = [found.weights("0ep")["fc.weight"] for found in runs]
    keep = runs[0].mask("0ep")["fc.weight"]
    assert (heads[0][keep] != heads[1][keep]).all()
    assert (heads[0][keep] != heads[2][keep]).all()


def test_a_parent_that_is_not_pruned_is_refused(tmp_path: Path) -> None:
    """There is nothing to train from scratch that the parent did not train already."""
    with pytest.raises(UserError, match="not pruned"):
        run(tmp_path / "a", _scratch(dense()))


def test_the_budget_of_flops_makes_training_longer(tmp_path: Path) -> None:
    """Training, milestones and warm-up by dense over what is left: a fourth is left of each."""
    parent = _quarter(milestone_steps="4it,8it", gamma=0.1, warmup_steps="2it")
    found = _opened(tmp_path / "a", _scratch(parent, budget="flops"))
    start = found.directory.fact(Fact.START)
    macs = start["facts"]["budget"]
    factor = macs["macs"] / macs["macs_effective"]
    assert factor == pytest.approx(FACTOR, rel=0.15)
    ends = [int(at * factor) for at in (STEPS, 4, 8, 2)]
    training = found.recipe.training
    milestones = [step.iterations(PER_EPOCH) for step in training.milestone_steps]
    warmup = training.warmup_steps
    assert warmup is not None
    got = [training.training_steps.iterations(PER_EPOCH), *milestones, warmup.iterations(PER_EPOCH)]
    assert got == ends
    assert start["end"] == found.directory.digests()[-1].iteration == ends[0]
    written = TrainingHparams.from_dict(start["recipe"]["training"])
    assert written == training


def test_the_factor_is_of_multiply_accumulates_not_of_weights(tmp_path: Path) -> None:
    """In a network of convolutions, by a count of its own: a weight counts once a position."""
    parent = pruned(dense(model_name=MODEL, training_steps="1it"), prune_fraction=0.5)
    branch = _scratch(parent, budget="flops")
    state_of(RunRef(branch, step=Step()), 1, context(tmp_path / "a"))
    found = Run(Store(tmp_path / "a").run(branch, 1), tmp_path / "data")
    dense_macs = left = 0
    network, mask = found.model(), found.mask("0ep")

    def count(name: str) -> Any:
        def hook(_: torch.nn.Module, __: object, out: torch.Tensor) -> None:
            nonlocal dense_macs, left
            positions = out[0, 0].numel()
            dense_macs += mask[name].numel() * positions
            left += int(mask[name].sum()) * positions

        return hook

    for name, module in network.named_modules():
        if f"{name}.weight" in mask:
            module.register_forward_hook(count(f"{name}.weight"))
    network(torch.zeros(1, 1, 8, 8))
    macs = found.directory.fact(Fact.START)["facts"]["budget"]
    assert macs["macs"] == dense_macs
    assert macs["macs_effective"] == pytest.approx(left, rel=0.02)
    assert dense_macs / left != pytest.approx(mask.total / mask.kept, rel=0.02)


def test_states_past_the_parents_end_can_be_saved(tmp_path: Path) -> None:
    """The end that counts is that of the longer training; past it there is none."""
    branch = _scratch(_quarter(), budget="flops")
    found = _opened(tmp_path / "a", branch, weight_save_steps="30it")
    assert Step(10) in found.steps
    with pytest.raises(UserError, match="has no state at 90it"):
        state_of(RunRef(branch, step=Step(0, 90)), 1, context(tmp_path / "a"))


@pytest.mark.parametrize("begun", [False, True])
def test_branches_grow_on_the_longer_trainings_end(begun: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """By what its start says, whether that is there already or has to be made."""
    parent = _scratch(_quarter(), budget="flops")
    tuning: dict[str, Any] = {"finetune_training_steps": "1it"}
    branch = BranchDesc(parent=parent, branch=Finetune(**tuning))
    if begun:
        state_of(RunRef(parent, step=Step()), 1, context(tmp_path / "a"))
    found = _opened(tmp_path / "a", branch)
    source = Run(Store(tmp_path / "a").run(parent, 1), tmp_path / "data")
    end = source.directory.fact(Fact.START)["end"]
    assert end > STEPS
    assert source.steps[-1].iterations(PER_EPOCH) == end
    assert all(torch.equal(found.weights("0ep")[n], v) for n, v in source.weights().items())


@pytest.mark.parametrize("branch", [Shuffle(), Reinit(seed=5), Oneshot(), LotteryRewind()])
def test_a_length_that_is_not_known_is_not_taken_over(branch: Branch, tmp_path: Path) -> None:
    """A branch would else train for the nominal length, another one than its parent's."""
    longer = BranchDesc(parent=_scratch(_quarter(), budget="flops", plain=True), branch=branch)
    with pytest.raises(UserError, match=r"How long scratch_.* trains is known from its start"):
        run(tmp_path / "a", longer)
    assert not list((tmp_path / "a").glob(f"{branch.kind}_*"))


def test_a_plan_says_that_the_whole_is_needed(tmp_path: Path) -> None:
    """How long it is, is not known before it has begun."""
    parent = _scratch(_quarter(), budget="flops")
    branch = BranchDesc(parent=parent, branch=Finetune())
    said = plan([Job(branch)], (), Store(tmp_path / "a"))
    row = next(line for line in said.splitlines() if line.startswith(parent.name))
    assert "would start, to its end" in row


def test_nothing_left_has_no_budget(tmp_path: Path) -> None:
    """A network that is cut off would train for ever."""
    parent = pruned(prune_fraction=1.0)
    with pytest.raises(UserError, match=r"No path from image to output .*--budget=epochs"):
        run(tmp_path / "a", _scratch(parent, budget="flops"))


def test_a_compacted_network_is_drawn_at_its_own_size(tmp_path: Path) -> None:
    """Each layer as its initializer draws a layer of the outputs and inputs that are left."""
    parent = pruned(
        dense(model_init="kaiming_normal"),
        granularity="nodes",
        strategy="magnitude",
        prune_fraction=0.75,
    )
    found = _opened(tmp_path / "a", _scratch(parent, compacted=True, seed=3))
    mask, weights = found.mask("0ep"), found.weights("0ep")
    rows = mask["fc_layers.0.weight"].any(1)
    assert int(rows.sum()) == 2
    drawn = {
        name: torch.nn.init.kaiming_normal_(
            torch.empty(shape), generator=generator(key(3, "reinitialize"), "init", name)
        )
        for name, shape in (("fc_layers.0.weight", (2, 64)), ("fc.weight", (10, 2)))
    }
    assert torch.equal(weights["fc_layers.0.weight"][rows], drawn["fc_layers.0.weight"])
    assert torch.equal(weights["fc.weight"][:, rows], drawn["fc.weight"])
    assert not weights["fc.weight"][:, ~rows].any()


def test_it_is_trained_as_the_dense_run_was_and_has_a_mask_amid_pruning(tmp_path: Path) -> None:
    """Not as the run that pruned while it trained; from the cut that is asked for."""
    slower: dict[str, Any] = {"interleaved_lr": 0.001}
    branch = Interleaved(
        granularity="nodes", cut_units=1, prune_every=Step(0, 1), prune_iterations=5, **slower
    )
    parent = BranchDesc(parent=dense(), branch=branch)
    found = _opened(tmp_path / "a", _scratch(parent, as_dense=True, state_step=Step(0, 3)))
    assert int(found.mask("0ep")["fc_layers.0.weight"].any(1).sum()) == 8 - 3
    assert found.recipe.training == dense().training
    assert found.directory.fact(Fact.START)["end"] == STEPS
    with pytest.raises(UserError, match="known from its start alone"):
        run(tmp_path / "a", _scratch(parent))


def test_a_budget_is_not_that_of_pruning_while_training(tmp_path: Path) -> None:
    """What counted rounds trained for is no measure; the dense run's training is."""
    branch = Interleaved(granularity="nodes", cut_units=2, prune_every=Step(0, 2), minimum_kept=2)
    parent = BranchDesc(parent=dense(), branch=branch)
    with pytest.raises(UserError, match="with --as_dense, the budget is that of the dense run"):
        run(tmp_path / "a", _scratch(parent, budget="flops"))
    found = _opened(tmp_path / "a", _scratch(parent, budget="flops", as_dense=True))
    assert found.directory.fact(Fact.START)["end"] > STEPS
