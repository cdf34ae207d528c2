"""What a field holds: a given value as the field's type has it, or a refusal in plain words."""

from __future__ import annotations

import types
import typing

from foundations.errors import UserError
from foundations.steps import Step, parse_steps
from foundations.values import real, text, truth, whole

if typing.TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 80
_WORDS: dict[object, tuple[str, str]] = {
    bool: ("True or False", "truth values"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
    Step: ("a step such as '3ep200it'", "steps such as '80ep,120ep'"),
    types.NoneType: ("None", "None"),
}


def typed(name: str, value: object, kind: object) -> object:
    """A value as a field of this type holds it, so that equal values are the same to the last bit.

    Args:
        name: The field's.
        value: What was given: steps may be text, tuples lists, and scalars NumPy's.
        kind: The field's type: bool, int, float, str, Step, any class, None, tuples or unions.

    Raises:
        UserError: Names the field, the value and what is allowed.
    """
    try:
        return _typed(value, kind)
    except ValueError:
        shown = show(value)
        if len(shown) > _LONGEST:
            shown = f"({type(value).__name__})"
        raise UserError(f"{name}={shown} is not allowed: it must be {_allowed(kind)}.") from None
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def show(value: object) -> str:
    """A value as the user would write it."""
    if isinstance(value, tuple):
        return ",".join(map(show, value)) or "(none)"
    return str(value) if isinstance(value, Step) else repr(value)


def _typed(value: object, kind: typing.Any) -> object:  # noqa: ANN401 - an annotation
    """The value as this type has it.

    Raises:
        ValueError: It cannot be.
        UserError: It is a text that is no step.
    """
    if _is_union(kind):
        return _first(value, typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return _items(value, typing.get_args(kind)[0])
    if kind in _SCALARS:
        return _SCALARS[kind](value)
    if kind is Step and isinstance(value, str):
        return Step.parse(value)
    if not isinstance(value, kind):
        raise ValueError(f"{value!r} is no {kind.__name__}")  # noqa: TRY004 - one error for all
    return value


def _first(value: object, kinds: tuple[object, ...]) -> object:
    """The value as the first of several types that can have it."""
    for kind in kinds:
        try:
            return _typed(value, kind)
        except ValueError:
            continue
    raise ValueError(f"{value!r} is none of {kinds}")


def _items(value: object, kind: object) -> tuple[object, ...]:
    if kind is Step and isinstance(value, str):
        return parse_steps(value)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is no list")  # noqa: TRY004 - one error for all
    return tuple(_typed(item, kind) for item in value)


def _rounded(value: object) -> float:
    """A number to 12 significant digits; ``-0.0`` is ``0.0``."""
    return float(f"{real(value):.12g}") + 0.0


_SCALARS: dict[object, Callable[[object], object]] = {
    bool: truth,
    int: whole,
    float: _rounded,
    str: text,
}


def _allowed(kind: typing.Any) -> str:  # noqa: ANN401 - an annotation
    """What a field of this type holds, in words."""
    if _is_union(kind):
        return " or ".join(_allowed(option) for option in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return f"a list of {_WORDS[item][1] if item in _WORDS else f'{item.__name__}s'}"
    return _WORDS[kind][0] if kind in _WORDS else f"a {kind.__name__}"


def _is_union(kind: object) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)
