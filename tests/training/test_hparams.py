"""What the hyperparameters of training refuse."""

from __future__ import annotations

from typing import Any

import pytest

from foundations.errors import UserError
from foundations.steps import Step
from models.presets import preset
from tests.training.examples import recipe
from training import OPTIMIZERS, SCHEDULES
from training.hparams import NUMERICS, RunOptions
from training.numerics import PROFILES
from training.optimizers import Optimizer

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"milestone_steps": "1ep"}, "gamma"),
    ({"gamma": 0.1}, "milestone_steps"),
    ({"gamma": -0.1, "milestone_steps": "1ep"}, "gamma"),
    ({"optimizer_name": "adma"}, "Did you mean 'adam'"),
    ({"lr_schedule": "cosin"}, "Did you mean 'cosine'"),
    ({"numerics": "bfloat"}, "Did you mean 'bfloat16'"),
    ({"optimizer_name": "adam", "momentum": 0.9}, "momentum=0.9"),
    ({"optimizer_name": "adamw", "nesterov_momentum": 0.9}, "nesterov_momentum=0.9"),
    ({"lr": -0.1}, "lr=-0.1"),
    ({"lr": float("nan")}, "lr=nan"),
    ({"lr": float("inf")}, "lr=inf"),
    ({"momentum": -0.1}, "momentum"),
    ({"momentum": 1.0}, "momentum"),
    ({"weight_decay": -1e-4}, "weight_decay"),
    ({"weight_decay": float("nan")}, "weight_decay"),
    ({"clip_gradient_norm": 0.0}, "clip_gradient_norm"),
    ({"clip_gradient_norm": float("nan")}, "clip_gradient_norm"),
    ({"label_smoothing": 1.5}, "label_smoothing"),
    ({"label_smoothing": -0.5}, "label_smoothing"),
    ({"loss_temperature": 0.0}, "loss_temperature"),
    ({"adam_beta1": 1.0, "optimizer_name": "adam"}, "adam_beta1"),
    ({"adam_epsilon": -1e-8, "optimizer_name": "adam"}, "adam_epsilon"),
    ({"one_cycle_warmup_fraction": 0.0, "lr_schedule": "one_cycle"}, "one_cycle_warmup_fraction"),
    ({"one_cycle_div_factor": 0.0, "lr_schedule": "one_cycle"}, "one_cycle_div_factor"),
    ({"lr_schedule": "one_cycle", "warmup_steps": "1ep"}, "warmup_steps"),
    ({"lr_schedule": "cosine", "milestone_steps": "1ep", "gamma": 0.1}, "milestone_steps"),
    ({"training_steps": "2 epochs"}, "'2 epochs' is not a step"),
    ({"data_order_seed": -3}, "data_order_seed=-3"),
    ({"data_order_seed": 1.5}, "data_order_seed=1.5"),
    ({"lr": "0.5"}, "lr='0.5'"),
    ({"apex_fp16": 1}, "apex_fp16=1"),
    ({"apex_fp16": True, "numerics": "float64"}, "apex_fp16"),
]


@pytest.mark.parametrize(("flags", "named"), REFUSED, ids=[str(flags) for flags, _ in REFUSED])
def test_refused(flags: dict[str, Any], named: str) -> None:
    """A bad value is refused with a message that names the field, or suggests the nearest name."""
    with pytest.raises(UserError) as raised:
        recipe(**flags)
    assert named in str(raised.value)


def test_apex_fp16_is_bfloat16() -> None:
    """OpenLTH's flag is another word for a profile: both give the same run."""
    assert recipe(apex_fp16=True).name == recipe(numerics="bfloat16").name
    assert recipe(apex_fp16=True).training.numerics == "bfloat16"
    assert recipe(apex_fp16=True).name != recipe().name


def test_every_name_that_is_allowed_means_something() -> None:
    """Optimizers, schedules and profiles that the flags allow are those that the engine has."""
    assert all(isinstance(OPTIMIZERS[name], Optimizer) for name in OPTIMIZERS)
    assert all(callable(SCHEDULES[name]) for name in SCHEDULES)
    assert set(NUMERICS) == set(PROFILES)


@pytest.mark.parametrize(
    "flags",
    [
        {"evaluate_on": ("tset",)},
        {"top_k": (0,)},
        {"checkpoint_every": Step()},
    ],
    ids=str,
)
def test_options_refused(flags: dict[str, Any]) -> None:
    """Unknown splits, k below 1 and an interval of nothing are refused, by the field's name."""
    with pytest.raises(UserError, match=r"Did you mean 'test'|top_k|checkpoint_every"):
        RunOptions(**flags)


def test_flags_become_a_description() -> None:
    """Flat flags, steps as text, go to the groups they belong to."""
    made = recipe(milestone_steps="1ep,30it", gamma=0.5, warmup_steps="5it", model_seed=3)
    assert made.training.milestone_steps == (Step(1), Step(0, 30))
    assert made.training.warmup_steps == Step(0, 5)
    assert made.training.training_steps == Step(2)
    assert made.model.model_seed == 3
    assert made.dataset.dataset_name == preset("digits_lenet")["dataset_name"]


def test_replaced_changes_some_flags_alone() -> None:
    """A description with other flags is the one that these flags would have made."""
    assert recipe().replaced(lr=0.3, batch_size=9) == recipe(lr=0.3, batch_size=9)
    assert recipe(lr=0.3).replaced() == recipe(lr=0.3)


def test_an_unknown_flag_suggests_the_nearest() -> None:
    """A name that no group has is refused, and the nearest one suggested."""
    with pytest.raises(UserError, match="Did you mean 'weight_decay'"):
        recipe(wieght_decay=0.1)
    with pytest.raises(UserError, match="Did you mean 'batch_size'"):
        recipe().replaced(batchsize=3)
