"""What counts as which sort of value."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from foundations.values import real, text, truth, whole


def _same(found: object, expected: object) -> None:
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("read", "given", "expected"),
    [
        (truth, True, True),
        (truth, np.bool_(False), False),  # noqa: FBT003 - NumPy's
        (whole, 3, 3),
        (whole, 2.0, 2),
        (whole, np.int64(3), 3),
        (whole, np.float32(2), 2),
        (whole, np.array(7), 7),
        (whole, torch.tensor(5), 5),
        (whole, Fraction(6, 3), 2),
        (whole, 10**40, 10**40),
        (real, 0.1, 0.1),
        (real, 3, 3.0),
        (real, np.float32(0.5), 0.5),
        (real, np.float64(0.1), 0.1),
        (real, np.int8(-1), -1.0),
        (real, Fraction(1, 4), 0.25),
        (real, -math.inf, -math.inf),
        (text, "1", "1"),
        (text, np.str_("a"), "a"),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_what_counts_is_had_as_pythons_own(
    read: Callable[[Any], Any], given: object, expected: object
) -> None:
    """Whatever library a scalar comes from, it is the one Python value."""
    _same(read(given), expected)


@pytest.mark.parametrize(
    ("read", "given"),
    [
        *((truth, given) for given in (0, 1, 1.0, "True", None, np.int64(1), np.array([True]))),
        *((whole, given) for given in (1.5, True, np.bool_(True), "1", None, 1j)),  # noqa: FBT003 - NumPy's
        *((whole, given) for given in (math.inf, math.nan, np.array([1]), [1])),
        *((real, given) for given in (True, np.bool_(True), "0.5", "x", None, 1j)),  # noqa: FBT003 - NumPy's
        *((real, given) for given in (math.nan, np.float32("nan"), 10**400, np.array([0.5]))),
        *((text, given) for given in (1, None, b"a", ["a"], np.array(["a"]))),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_nothing_is_guessed(read: Callable[[Any], Any], given: object) -> None:
    """A value of another sort is refused, however near it comes."""
    with pytest.raises(ValueError, match="is not"):
        read(given)
