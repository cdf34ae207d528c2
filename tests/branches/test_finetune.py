"""The ``finetune`` branch: what stays of the parent, what is its own, and its flags."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from branches import KINDS
from branches.finetune import Finetune
from branches.opened import Run
from foundations.description import BranchDesc, decode
from foundations.errors import UserError
from foundations.steps import Step
from foundations.store import Store
from tests.branches.runs import DECAYED, PER_EPOCH, dense, pruned, run

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description
    from training.hparams import TrainingHparams

SHORT: dict[str, Any] = {"finetune_training_steps": "4it"}


def _finetune(parent: Description | None = None, **flags: Any) -> BranchDesc:
    return BranchDesc(parent=parent or pruned(dense(**DECAYED)), branch=Finetune(**flags))


def _training(parent: Description, **flags: Any) -> TrainingHparams:
    branch = Finetune(**flags)
    assert isinstance(parent, type(dense()))
    return branch.recipe(parent).training


def test_the_end_goes_on_with_its_mask(tmp_path: Path) -> None:
    """The first state is the parent's last, bit for bit; what is cut stays zero while it trains."""
    parent = pruned(dense(**DECAYED))
    tuned = Run(run(tmp_path / "a", _finetune(parent, **SHORT)), tmp_path / "data")
    source = Run(Store(tmp_path / "a").run(parent, 1), tmp_path / "data")
    first, last, end = tuned.weights("0ep"), tuned.weights(), source.weights()
    mask = source.mask()
    assert tuned.mask("0ep") == tuned.mask() == mask
    assert mask.kept < mask.total
    for name, value in end.items():
        assert torch.equal(first[name], value)
    for name, keep in mask.items():
        assert (last[name][~keep] == 0).all()
        assert (last[name][keep] != first[name][keep]).double().mean() > 0.5


def test_the_schedule_begins_anew(tmp_path: Path) -> None:
    """Iterations are counted from 0 to the end of the training that is stated."""
    tuned = run(tmp_path / "a", _finetune(**SHORT))
    assert [row.iteration for row in tuned.digests()] == [0, PER_EPOCH, 4]


def test_an_earlier_state_is_trained_on(tmp_path: Path) -> None:
    """That of ``state_step``; the parent needs to run no further."""
    parent = dense()
    tuned = run(tmp_path / "a", _finetune(parent, state_step=Step(0, 5), **SHORT))
    source = Run(Store(tmp_path / "a").run(parent, 1), tmp_path / "data")
    assert source.state.value == "interrupted"
    first, there = Run(tuned, tmp_path / "data").weights("0ep"), source.weights("5it")
    assert all(torch.equal(first[name], value) for name, value in there.items())


def test_the_defaults_are_those_of_weight_level_pruning() -> None:
    """40 epochs at a constant .001, whatever the schedule was; all else is the parent's."""
    parent = dense(**DECAYED, milestone_steps="2ep", gamma=0.1, batch_size=32)
    training = _training(parent)
    assert (str(training.training_steps), training.lr) == ("40ep", 0.001)
    assert (training.milestone_steps, training.gamma) == ((), None)
    assert (training.momentum, training.weight_decay) == (0.9, 5e-4)
    cosine = dense(lr_schedule="cosine", warmup_steps="1ep")
    assert _training(cosine).lr_schedule == "milestones"
    assert _training(cosine).warmup_steps is None
    assert str(_training(cosine, finetune_warmup_steps="2it").warmup_steps) == "2it"


def test_none_is_what_the_parent_has() -> None:
    """Its learning rate, its length and its milestones, where these are the defaults' otherwise."""
    parent = dense(milestone_steps="2ep", gamma=0.1)
    names = ("lr", "training_steps", "milestone_steps", "lr_schedule")
    training = _training(parent, **{f"finetune_{name}": None for name in names})
    assert training == parent.training


@pytest.mark.parametrize(
    ("given", "dropped"),
    [
        ({"lr_schedule": "one_cycle"}, {"milestone_steps": (), "gamma": None}),
        ({"lr_schedule": "one_cycle"}, {"warmup_steps": None}),
        ({"lr_schedule": "cosine"}, {"milestone_steps": (), "gamma": None}),
        ({"optimizer_name": "adam"}, {"momentum": 0.0}),
        ({"milestone_steps": ()}, {"gamma": None}),
    ],
)
def test_what_is_given_puts_out_of_force_what_contradicts_it(
    given: dict[str, Any], dropped: dict[str, object]
) -> None:
    """The parent has it, and it is gone; so nobody needs to empty it by a flag."""
    parent = dense(milestone_steps="2ep", gamma=0.1, momentum=0.9, warmup_steps="1ep")
    training = _training(parent, **{f"finetune_{name}": value for name, value in given.items()})
    for name, value in (given | dropped).items():
        assert getattr(training, name) == value


def test_values_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    """The message says whose flags they are; nothing is left of the run."""
    description = _finetune(dense(), finetune_milestone_steps="2it")
    with pytest.raises(UserError, match=r"begin with --finetune_: milestone_steps=2it .*--gamma"):
        run(tmp_path / "a", description)
    assert not Store(tmp_path / "a").run(description, 1).path.exists()


def test_only_what_is_given_is_hashed() -> None:
    """And the JSON, which has all fields, gives the same description back."""
    flags: dict[str, Any] = {
        "finetune_milestone_steps": "10ep,20ep",
        "finetune_gamma": 0.1,
        "finetune_apex_fp16": False,
        "finetune_warmup_steps": "100it",
    }
    description = _finetune(dense(), **flags)
    assert description.canonical()["branch"] == {
        "finetune_milestone_steps": [[10, 0], [20, 0]],
        "finetune_gamma": 0.1,
        "finetune_apex_fp16": False,
        "finetune_warmup_steps": [0, 100],
    }
    assert _finetune(dense()).canonical()["branch"] == {}
    written = json.loads(json.dumps(description.to_json_dict()))
    assert decode(written, KINDS) == description


def test_an_unknown_optimizer_is_refused() -> None:
    """As soon as the run is named."""
    with pytest.raises(UserError, match="adamm"):
        _ = _finetune(dense(), finetune_optimizer_name="adamm").name
