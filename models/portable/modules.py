"""How a module becomes the name of its class and the settings of its constructor, and back."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foundations.errors import UserError
from models.portable.allowed import looked_up, module_classes, name_of_class
from models.portable.values import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foundations.hparams import Json

_PLACES = ("device", "dtype")
"""Settings that say where tensors lie; the tensors of a file say it themselves."""


def module_to_json(module: nn.Module) -> Json:
    """``{"class": "torch.nn.Conv2d", "settings": {...}}``.

    Raises:
        UserError: The module, or a setting of it, cannot be named in a file.
    """
    name = name_of_class(module)
    settings = {key: to_json(value) for key, value in _settings(module, module_classes()[name])}
    return {"class": name, "settings": settings}


def module_from_json(value: Json) -> nn.Module:
    """The module, without values: its tensors are on the meta device.

    Raises:
        UserError: It is none that a file may name.
    """
    kind = looked_up("module", value["class"], module_classes())
    known = _parameters(kind)
    settings = {
        looked_up("setting", key, {name: name for name in known}): from_json(setting, {})
        for key, setting in value["settings"].items()
    }
    with torch.device("meta"):
        made: nn.Module = kind(**settings)
    return made


def tensors_of(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers of a module by name."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _settings(module: nn.Module, kind: type[nn.Module]) -> Iterator[tuple[str, Any]]:
    """The arguments that make a constructor give such a module: its attributes of these names."""
    for name, parameter in _parameters(kind).items():
        if name == "bias":
            yield name, _has_bias(module)
        elif hasattr(module, name):
            yield name, getattr(module, name)
        elif parameter.default is parameter.empty:
            raise UserError(
                f"A {type(module).__name__} does not know its {name!r}, so that it cannot be "
                "described in a file."
            )


def _has_bias(module: nn.Module) -> bool:
    name = "in_proj_bias" if isinstance(module, nn.MultiheadAttention) else "bias"
    return getattr(module, name, None) is not None


def _parameters(kind: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """The settings of a constructor."""
    every = inspect.signature(kind.__init__).parameters
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: parameter
        for name, parameter in every.items()
        if name not in {"self", *_PLACES} and parameter.kind not in variable
    }
