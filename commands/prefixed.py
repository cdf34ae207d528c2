"""How a group of hyperparameters is given by flags of other names, where its own would collide."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from typing import TYPE_CHECKING, Annotated, Any, cast

import tyro

from foundations.hparams import Hparams, field_types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def renamed(
    group: Hparams, rename: Callable[[str], str], *, without: frozenset[str] = frozenset()
) -> Hparams:
    """Flags for the fields of a group, by other names, with its values as their defaults.

    Args:
        group: Gives fields, types, help and defaults.
        rename: From the name of a field to that of its flag.
        without: Fields that are no flags.
    """
    types, texts = field_types(type(group)), _help(type(group), rename)
    fields = [
        (
            rename(field.name),
            Annotated[types[field.name], tyro.conf.arg(help=texts.get(field.name, ""))],
            dataclasses.field(default=getattr(group, field.name)),
        )
        for field in dataclasses.fields(group)
        if field.name not in without
    ]
    made = dataclasses.make_dataclass(
        f"{type(group).__name__}Flags", fields, bases=(Hparams,), frozen=True, kw_only=True
    )
    return cast("Hparams", made())


def by_own_names(
    flags: Hparams, rename: Callable[[str], str], kind: type[Hparams]
) -> dict[str, Any]:
    """The values of flags that ``renamed`` made, by the names of the fields."""
    given = {field.name for field in dataclasses.fields(flags)}
    names = (field.name for field in dataclasses.fields(kind))
    return {name: getattr(flags, rename(name)) for name in names if rename(name) in given}


def _help(kind: type[Hparams], rename: Callable[[str], str]) -> dict[str, str]:
    """The help of each field, which may speak of other fields of the group by their flags."""
    names = field_types(kind)

    def flag(match: re.Match[str]) -> str:
        return f"--{rename(match[1])}" if match[1] in names else match[0]

    return {name: re.sub(r"--(\w+)", flag, text) for name, text in field_help(kind).items()}


def field_help(kind: type) -> Mapping[str, str]:
    """The docstring under each field of a dataclass, those it inherits included."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base) and base.__module__ != "types":
            found |= _own_help(base)
    return found


def _own_help(kind: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):  # made by a function: it has no source
        return {}
    body = ast.parse(source).body[0]
    lines = body.body if isinstance(body, ast.ClassDef) else []
    return {
        line.target.id: " ".join(text.split())
        for line, below in itertools.pairwise(lines)
        if isinstance(line, ast.AnnAssign)
        and isinstance(line.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(text := below.value.value, str)
    }
