"""How the arguments of operations and the settings of modules become JSON, and back.

Numbers, texts, truth values and None are themselves, lists are lists. All else is a dict of one
key that says what it is: ``{"tuple": [1, 2]}``, ``{"node": "conv1"}``, ``{"dtype": "float32"}``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from foundations.errors import UserError
from models.portable.allowed import looked_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foundations.hparams import Json

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}
"""Those that tensors of a file may have, by name."""

FORMATS = {name: getattr(torch, name) for name in ("contiguous_format", "channels_last")}

_TABLES = {"dtype": DTYPES, "memory_format": FORMATS}

_DEPTH = 20
"""How deep arguments may be nested."""


def to_json(value: object) -> Json:
    """A value as JSON.

    Raises:
        UserError: It cannot be kept in a file.
    """
    if isinstance(value, fx.Node):
        return {"node": value.name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [to_json(item) for item in value]
    return _tagged(value)


def _tagged(value: object) -> Json:
    """What JSON has no word for."""
    match value:
        case slice():
            return {"slice": [to_json(part) for part in (value.start, value.stop, value.step)]}
        case tuple():
            return {"tuple": [to_json(item) for item in value]}
        case dict():
            return {"dict": [[to_json(key), to_json(item)] for key, item in value.items()]}
    if value is Ellipsis:
        return {"ellipsis": True}
    for kind, table in _TABLES.items():
        for name, known in table.items():
            if value is known:
                return {kind: name}
    raise UserError(
        f"This network has the argument {value!r} ({type(value).__name__}), which the file of a "
        "network cannot hold."
    )


def from_json(value: Json, nodes: Mapping[str, fx.Node], depth: int = 0) -> Any:  # noqa: ANN401 - whatever it stands for
    """What JSON stands for.

    Args:
        value: As ``to_json`` makes it.
        nodes: By name: those that may be referred to.
        depth: How deep it is nested in others.

    Raises:
        UserError: It stands for nothing.
    """
    if depth > _DEPTH:
        raise UserError("The file of this network is damaged: its arguments are nested too deep.")
    if not isinstance(value, dict | list):
        return value
    if isinstance(value, list):
        return [from_json(item, nodes, depth + 1) for item in value]
    if len(value) != 1:
        raise _unknown(value)
    ((kind, content),) = value.items()
    return _meant(kind, content, nodes, depth + 1)


def _meant(kind: str, content: Json, nodes: Mapping[str, fx.Node], depth: int) -> Any:  # noqa: ANN401 - as above
    if kind in _TABLES:
        return looked_up(kind, content, _TABLES[kind])
    if kind == "node":
        return looked_up("node", content, nodes)
    made: Any = _unknown({kind: content})
    match kind, content:
        case "tuple", list():
            made = tuple(from_json(content, nodes, depth))
        case "slice", [_, _, _]:
            made = slice(*from_json(content, nodes, depth))
        case "dict", list():
            made = dict(from_json(content, nodes, depth))
        case "float", "inf" | "-inf" | "nan":
            made = float(content)
        case "ellipsis", True:
            made = ...
    if isinstance(made, UserError):
        raise made
    return made


def _unknown(value: Json) -> UserError:
    return UserError(
        f"The file of this network is damaged: {str(value)[:60]!r} stands for no argument."
    )
