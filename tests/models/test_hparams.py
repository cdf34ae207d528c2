"""Hyperparameters of networks."""

from __future__ import annotations

from typing import Any

import pytest

from foundations.errors import UserError
from models.hparams import ModelHparams
from models.initializers import INITIALIZERS

PLAIN: dict[str, Any] = {
    "model_name": "digits_lenet",
    "model_init": "binary",
    "batchnorm_init": "fixed",
}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model_name": "digits_lent"}, "Did you mean 'digits_lenet'"),
        ({"model_init": "kaimin_normal"}, "model_init: .*Did you mean 'kaiming_normal'"),
        ({"bias_init": "zero"}, "bias_init: .*Did you mean 'zeros'"),
        ({"batchnorm_init": "unifrom"}, "batchnorm_init: .*Did you mean 'uniform'"),
        ({"model_init": "uniform"}, "init_width=None is not allowed: .*needs a width"),
        ({"init_width": 0.1}, "init_width=0.1 is not allowed: .*no other initializer"),
        ({"model_init": "uniform", "init_width": 0.0}, "a number above 0"),
        ({"model_init": "uniform", "init_width": float("inf")}, "a number above 0"),
        ({"model_init": "uniform", "init_width": float("nan")}, "init_width=nan is not allowed"),
        ({"output_frozen": 1}, "output_frozen=1 is not allowed: it must be True or False"),
        ({"model_seed": 1.5}, "model_seed=1.5 is not allowed"),
        ({"model_seed": -1}, "model_seed=-1 is not allowed"),
        ({"others_frozen_exceptions": "fc"}, "others_frozen, which is not set"),
    ],
)
def test_a_bad_value_is_refused(flags: dict[str, Any], message: str) -> None:
    """The message names the field, and what is allowed or meant."""
    with pytest.raises(UserError, match=message):
        ModelHparams(**PLAIN | flags)


def test_defaults_stay_out_of_the_canonical_form() -> None:
    """Only the required fields are hashed where nothing else is set."""
    assert ModelHparams(**PLAIN).canonical() == PLAIN


def test_a_raised_version_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed initializer changes the name of the runs that use it."""
    monkeypatch.setitem(INITIALIZERS._versions, "binary", 2)
    assert ModelHparams(**PLAIN).canonical()["versions"] == {"model_init:binary": 2}


def test_json_and_back() -> None:
    """What is written is read."""
    hparams = ModelHparams(
        model_name="cifar_resnet_8",
        model_init="uniform",
        batchnorm_init="oneone",
        init_width=0.25,
        bias_init="zeros",
        model_seed=3,
    )
    assert ModelHparams.from_dict(hparams.to_dict()) == hparams
