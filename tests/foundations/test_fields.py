"""A field holds values of its type, and says in plain words what it does not hold."""

import math
from typing import Any

import numpy as np
import pytest

from foundations.errors import UserError
from foundations.fields import typed
from foundations.hparams import Hparams
from foundations.steps import Step
from tests.foundations.examples import ModelExample

MANY = tuple[Step, ...]


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        (2.0, int, 2),
        (np.int64(3), int | None, 3),
        (None, int | None, None),
        (np.bool_(True), bool, True),  # noqa: FBT003 - NumPy's
        (1, float, 1.0),
        (np.float32(0.5), float | None, 0.5),
        (1 - 0.8**3, float, 0.488),
        (math.inf, float, math.inf),
        ([1, 2.0], tuple[int, ...], (1, 2)),
        ([], tuple[int, ...], ()),
        (["a"], tuple[str, ...], ("a",)),
        ("3ep2it", Step, Step(3, 2)),
        ("3ep", Step | None, Step(3)),
        ("80ep, 120ep", MANY, (Step(80), Step(120))),
        ("", MANY, ()),
        (["80ep", Step(3)], MANY, (Step(80), Step(3))),
        (ModelExample(), Hparams, ModelExample()),
    ],
    ids=repr,
)
def test_a_value_becomes_one_of_the_fields_type(given: Any, kind: Any, expected: Any) -> None:
    """Equal values are the same value, of the same Python types, all the way down."""
    found = typed("field", given, kind)
    assert repr(found) == repr(expected)
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (1, bool, "field=1 is not allowed: it must be True or False."),
        (1.5, int, "field=1.5 is not allowed: it must be a whole number."),
        (True, int | None, "field=True is not allowed: it must be a whole number or None."),
        ("0.5", float, "field='0.5' is not allowed: it must be a number."),
        (math.nan, float, "field=nan is not allowed: it must be a number."),
        (None, float, "field=None is not allowed: it must be a number."),
        (3, str, "field=3 is not allowed: it must be a text."),
        (3, Step, "field=3 is not allowed: it must be a step such as '3ep200it'."),
        ("3", Step | None, "field: '3' is not a step: "),
        ("3ep,4", MANY, "field: '4' is not a step: "),
        ([3], MANY, "field=[3] is not allowed: it must be a list of steps such as '80ep,120ep'."),
        ((1, True), tuple[int, ...], "field=1,True is not allowed: it must be a list of whole"),
        ("ab", tuple[str, ...], "field='ab' is not allowed: it must be a list of texts."),
        ("vgg", ModelExample, "field='vgg' is not allowed: it must be a ModelExample."),
        (3, ModelExample | None, "field=3 is not allowed: it must be a ModelExample or None."),
        (
            3,
            tuple[ModelExample, ...],
            "field=3 is not allowed: it must be a list of ModelExamples.",
        ),
        (ModelExample(widths=(1,) * 99), int, "field=(ModelExample) is not allowed: "),
    ],
    ids=repr,
)
def test_a_value_of_another_type_is_refused(given: Any, kind: Any, message: str) -> None:
    """The message names the field, the value and the type; a long value by its own type."""
    with pytest.raises(UserError) as caught:
        typed("field", given, kind)
    assert str(caught.value).startswith(message)
