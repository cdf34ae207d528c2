"""What counts as a truth value, a whole number, a number and a text.

NumPy's scalars count as Python's. Nothing is guessed: ``1`` is no truth value, ``True`` is no
number, and neither is ``"0.5"``.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def truth(value: object) -> bool:
    """True or False.

    Raises:
        ValueError: It is neither.
    """
    value = _plain(value)
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not True or False")  # noqa: TRY004 - one error for all
    return value


def whole(value: object) -> int:
    """A whole number; ``2.0`` is one.

    Raises:
        ValueError: It is not.
    """
    number: Any = _plain(value)
    if not _is_real(number) or number % 1 != 0:  # not zero either for inf and nan
        raise ValueError(f"{value!r} is not a whole number")
    return int(number)


def real(value: object) -> float:
    """A number; infinite ones are.

    Raises:
        ValueError: It is none, or ``nan``, or too large for a float.
    """
    number: Any = _plain(value)
    try:
        number = float(number) if _is_real(number) else math.nan
    except OverflowError:
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"{value!r} is not a number")
    return float(number)


def text(value: object) -> str:
    """A text.

    Raises:
        ValueError: It is none.
    """
    value = _plain(value)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")  # noqa: TRY004 - one error for all
    return value


def _plain(value: Any) -> Any:  # noqa: ANN401 - anything a user gives
    """A scalar of NumPy, or of PyTorch, as Python's."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _is_real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
