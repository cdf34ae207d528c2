"""How weights that were saved elsewhere are read, named as here, and fitted to a network.

A ``.safetensors`` file, or one of ``torch.save`` that holds tensors alone: the pickle in it is read
by ``weights_only``, which refuses everything else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from foundations.errors import DamageError, UserError, unknown
from foundations.tensors import digest, load_tensors
from training.state import State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from torch import Tensor

    from training.imported import ImportDesc
    from training.setting import Setting

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Under which of these names, the first there is, a checkpoint of other projects has weights."""

_PREFIXES = ("module.", "_orig_mod.")
"""What torch's wrappers put before every name: DataParallel, and torch.compile."""

_SHOWN = 8

_OTHER_NETWORK = (
    "Another network is --default_hparams or --model_name; --rename=old=new changes the beginnings "
    "of names."
)


def read_weights(path: str | Path, rename: Sequence[str] = ()) -> dict[str, Tensor]:
    """The parameters and buffers of a file: on the CPU, what is floating in float32.

    Args:
        path: A ``.safetensors`` file, or one of ``torch.save`` (``.pth``, ``.pt``): a dict of
            tensors, or a dict that has one under a usual name.
        rename: Beginnings of names and what they become: ``"old=new"``; the first that fits counts.

    Raises:
        UserError: The file is not there, or holds no weights; or a renaming fits no name.
        DamageError: The file is cut short, or not finite.
    """
    place = Path(path).expanduser()
    if not place.is_file():
        raise UserError(f"There is no file {place} to import weights from.")
    stored = load_tensors(place).tensors if place.suffix == ".safetensors" else _unpickled(place)
    named = _renamed(_unwrapped(stored, place), rename)
    weights = {name: _plain(tensor) for name, tensor in sorted(named.items())}
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise DamageError(f"{place}: {name} holds values that are not finite.")
    return weights


def imported(description: ImportDesc, setting: Setting) -> State:
    """The state that an imported run begins from.

    Raises:
        UserError: The file is not there any more, or its weights are of another network.
        DamageError: Its content is not what it was when the run was described.
    """
    asked = description.weights
    if asked.path is None:
        raise UserError(
            f"It is not known where the weights of {description.name} lie: import them again."
        )
    weights = read_weights(asked.path, asked.rename)
    if digest(weights) != asked.content:
        raise DamageError(
            f"The content of {asked.path} is not what {description.name} was described with. Put "
            "the file back as it was, or import it anew: that is another run."
        )
    own, name = setting.network().state_dict(), setting.recipe.model.model_name
    fitted = fit(weights, own, name, advice=_OTHER_NETWORK)
    return State(description.step.iterations(setting.iterations_per_epoch), fitted)


def _unpickled(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # whatever the bytes lead it to
        raise UserError(
            f"{path} is no file of weights: it is damaged, or holds other objects than tensors and "
            "plain values, which are not loaded. Save the network's state_dict(), with torch.save "
            "or as .safetensors."
        ) from error


def _unwrapped(stored: Any, path: Path) -> dict[str, Tensor]:  # noqa: ANN401 - what a file holds
    """The tensors by name, out of what other projects put around them."""
    while isinstance(stored, dict) and (inside := [name for name in _WRAPPERS if name in stored]):
        stored = stored[inside[0]]
    if not isinstance(stored, dict) or not stored:
        raise UserError(f"{path} holds no state dict, but a {type(stored).__name__}.")
    if wrong := [str(name) for name, value in stored.items() if not torch.is_tensor(value)]:
        raise UserError(
            f"{path} holds no state dict: not tensors are {_some(wrong)}. A state dict may also be "
            f"one of its entries, called {' or '.join(_WRAPPERS)}."
        )
    tensors: dict[str, Tensor] = {str(name): value for name, value in stored.items()}
    while (prefix := _common_prefix(tensors)) is not None:
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _common_prefix(names: Collection[str]) -> str | None:
    """What a wrapper of torch has put before all of these names."""
    common = (prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in names))
    return next(common, None)


def _renamed(stored: Mapping[str, Tensor], rename: Sequence[str]) -> dict[str, Tensor]:
    pairs = [(old, new) for old, _, new in (text.partition("=") for text in rename)]
    for old, _ in pairs:
        if not any(name.startswith(old) for name in stored):
            raise unknown("name of a weight in the file that begins with", old, stored)
    named = {_new_name(name, pairs): value for name, value in stored.items()}
    if len(named) < len(stored):
        raise UserError(f"rename={','.join(rename)} gives two weights the same name.")
    return named


def _new_name(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    fits = (new + name.removeprefix(old) for old, new in pairs if name.startswith(old))
    return next(fits, name)


def _plain(tensor: Tensor) -> Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", dtype).contiguous()


def fit(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], model_name: str, advice: str = ""
) -> dict[str, Tensor]:
    """The weights, in the network's order and types.

    Args:
        weights: By the names of the network.
        own: The network's own.
        model_name: What the network is called.
        advice: What to do where they do not fit.

    Raises:
        UserError: Names what is missing, too much and of another shape.
    """
    # Before PyTorch 0.4.1 batch norms did not count their batches.
    counts = {name: own[name].cpu() for name in own if name.endswith(".num_batches_tracked")}
    weights = {**counts, **weights}
    problems = {
        "missing": [name for name in own if name not in weights],
        "too much": [name for name in weights if name not in own],
        "of another shape": [
            f"{name} ({_shape(weights[name])}, not {_shape(own[name])})"
            for name in own
            if name in weights and weights[name].shape != own[name].shape
        ],
    }
    said = [f"{what}: {_some(names)}" for what, names in problems.items() if names]
    if said:
        lines = [f"These are not the weights of {model_name}.", *(f"  {line}" for line in said)]
        raise UserError("\n".join([*lines, advice] if advice else lines))
    return {name: weights[name].to(own[name].dtype) for name in own}


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
