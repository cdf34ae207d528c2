"""Equal hyperparameters have one canonical form, and bad ones are refused by name."""

import json
import math
import re
from dataclasses import dataclass, make_dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from foundations.errors import UserError
from foundations.hparams import Hparams, canonical
from foundations.steps import Step
from tests.foundations.examples import ModelExample, TrainingExample

FLOATS = some.floats(min_value=1e-6, max_value=1e6)


def test_an_integer_given_for_a_float_is_one() -> None:
    """``1 == 1.0`` in value, type and canonical form."""
    assert TrainingExample(lr=1) == TrainingExample(lr=1.0)
    assert repr(TrainingExample(lr=1).lr) == "1.0"
    assert TrainingExample(lr=1).canonical() == {"lr": 1.0}


def test_a_computed_float_is_the_one_that_was_meant() -> None:
    """Rounding to 12 digits makes ``1 - .8**3`` the same as ``.488``, as used and as hashed."""
    assert 1 - 0.8**3 != 0.488
    assert TrainingExample(lr=1 - 0.8**3).lr == 0.488
    assert TrainingExample(clip=1 - 0.8**3).canonical() == {"clip": 0.488}


@given(FLOATS)
def test_noise_below_twelve_digits_changes_nothing(value: float) -> None:
    """A relative error of the size that arithmetic makes disappears, unless it crosses a digit."""
    rounded = float(f"{value:.12g}")
    assert TrainingExample(lr=rounded * (1 + 1e-15)) == TrainingExample(lr=rounded)


@given(FLOATS)
def test_rounding_twice_is_rounding_once(value: float) -> None:
    """What is read back from a file is what was used."""
    once = TrainingExample(lr=value)
    assert TrainingExample(lr=once.lr) == once
    assert abs(once.lr - value) <= abs(value) * 1e-11


def test_negative_zero_is_zero() -> None:
    """They are equal numbers, so they are one hyperparameter."""

    @dataclass(frozen=True, kw_only=True)
    class Shift(Hparams):
        by: float = 1.0

    assert Shift(by=-0.0).canonical() == {"by": 0.0}
    assert str(Shift(by=-0.0).by) == "0.0"


@given(
    some.builds(
        TrainingExample,
        lr=FLOATS,
        steps=some.builds(Step, some.integers(0, 99), some.integers(0, 99)),
        clip=some.none() | FLOATS,
        seed=some.none() | some.integers(0, 9),
        workers=some.integers(0, 9),
    )
)
def test_json_gives_back_the_same_hyperparameters(hparams: TrainingExample) -> None:
    """Written and read, nothing has changed."""
    assert TrainingExample.from_json(hparams.to_json()) == hparams


def test_defaults_and_fields_that_decide_nothing_are_left_out() -> None:
    """Only what differs, and matters, is in the canonical form."""
    assert TrainingExample().canonical() == {}
    assert TrainingExample(lr=0.1, workers=7).canonical() == {}
    assert TrainingExample(steps=Step(3, 2), seed=0).canonical() == {"steps": [3, 2], "seed": 0}


def test_the_order_of_fields_does_not_matter() -> None:
    """Two classes with their fields in another order have one canonical form."""
    fields = [("a", int, 1), ("b", float, 2.0)]
    left = make_dataclass("Left", fields, bases=(Hparams,), frozen=True, kw_only=True)
    right = make_dataclass("Right", fields[::-1], bases=(Hparams,), frozen=True, kw_only=True)
    assert list(left(a=5, b=6).canonical()) == list(right(b=6, a=5).canonical()) == ["a", "b"]
    assert left(a=5, b=6).canonical() == right(a=5, b=6).canonical()


def test_a_new_field_with_a_default_leaves_the_canonical_form_alone() -> None:
    """A later version may add fields."""
    old = make_dataclass("Old", [("a", int, 1)], bases=(Hparams,), frozen=True, kw_only=True)
    new = make_dataclass(
        "New", [("a", int, 1), ("b", str, "x")], bases=(Hparams,), frozen=True, kw_only=True
    )
    assert old(a=3).canonical() == new(a=3).canonical() == {"a": 3}
    assert new(a=3, b="y").canonical() == {"a": 3, "b": "y"}


def test_only_a_version_above_one_is_hashed() -> None:
    """A function that never changed adds nothing; one that did names its version."""
    assert ModelExample(name="vgg").canonical() == {"name": "vgg"}
    assert ModelExample(name="remade").canonical() == {"name": "remade", "versions": {"remade": 2}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seed": 2}, {"seed": 2.0}),
        ({"seed": 3}, {"seed": np.int64(3)}),
        ({"lr": 0.5}, {"lr": np.float32(0.5)}),
        ({"clip": 1}, {"clip": np.float64(1)}),
        ({"steps": Step(3, 2)}, {"steps": "3ep2it"}),
        ({"steps": Step(3)}, {"steps": Step(3.0)}),  # type: ignore[arg-type]
        ({"warm_up": Step(0, 5)}, {"warm_up": "5it"}),
        ({"milestones": (Step(1), Step(2))}, {"milestones": "1ep,2ep"}),
    ],
    ids=repr,
)
def test_one_value_in_two_types_is_hashed_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The JSON that is hashed is the same text, ``2`` and not ``2.0``."""
    left, right = TrainingExample(**one), TrainingExample(**other)
    assert left == right
    assert json.dumps(left.canonical()) == json.dumps(right.canonical())
    assert left.to_json() == right.to_json()


@pytest.mark.parametrize(
    "bad",
    [{"lr": "0.5"}, {"lr": None}, {"lr": math.nan}, {"seed": 1.5}, {"seed": True}, {"steps": 3}],
    ids=repr,
)
def test_json_is_as_strict_as_python(bad: dict[str, Any]) -> None:
    """Nothing is read as what it is not, neither from a file nor in a notebook."""
    ((field, value),) = bad.items()
    with pytest.raises(
        UserError, match=f"{field}={value!r} is not allowed: it must be a"
    ) as caught:
        TrainingExample(**bad)
    with pytest.raises(UserError, match=re.escape(str(caught.value))):
        TrainingExample.from_json(json.dumps(bad))


def test_a_switch_is_on_or_off() -> None:
    """``1`` would give another name than True, and ``"false"`` mean its opposite."""
    for bad in (1, 0, "false", None):
        with pytest.raises(UserError, match=f"bias={bad!r} is not allowed: it must be True or Fal"):
            ModelExample.from_dict({"bias": bad})


def test_groups_within_groups_survive_json() -> None:
    """A group of hyperparameters may hold another one, or none."""

    @dataclass(frozen=True, kw_only=True)
    class Outer(Hparams):
        inner: ModelExample
        other: TrainingExample | None = None

    for outer in (
        Outer(inner=ModelExample(bias=False)),
        Outer(inner=ModelExample(), other=TrainingExample(steps=Step(7))),
    ):
        assert Outer.from_json(outer.to_json()) == outer


@pytest.mark.parametrize("seed", [None, 0, 2**70])
def test_seeds_from_zero_on_are_allowed(seed: int | None) -> None:
    """And none, where the seed follows the replicate."""
    TrainingExample(seed=seed).require_seed("seed")


def test_a_negative_seed_is_refused() -> None:
    """By the name of its field, whichever of several it is."""
    with pytest.raises(UserError, match=r"seed=-3 is not allowed: a seed is a whole number, 0 or"):
        TrainingExample(seed=-3).require_seed("workers", "seed")


def test_a_list_becomes_a_tuple() -> None:
    """What JSON can only give as a list is the same value."""
    assert ModelExample(widths=[5, 6]) == ModelExample(widths=(5, 6))  # type: ignore[arg-type]


def test_a_bad_value_is_refused_with_field_value_and_what_is_allowed() -> None:
    """All three are in the message."""
    with pytest.raises(UserError, match=r"lr=-0\.5 is not allowed: it must be greater than 0"):
        TrainingExample(lr=-0.5)


def test_what_has_no_canonical_form_cannot_be_a_hyperparameter() -> None:
    """Objects without one are a mistake of the program."""
    with pytest.raises(TypeError, match="set cannot be a hyperparameter"):
        canonical({1})
