"""Any classification network of torchvision, by the name that it has there, without its weights.

Auxiliary classifiers, which GoogLeNet and Inception v3 have for training, are left out: a network
gives logits alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from torch import nn

from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.family import Arguments

_CHANNELS = 3
_LOGITS_ALONE = {"aux_logits": False, "init_weights": False}
"""What is initialized here is drawn anew; without being told, these two warn."""


def build(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network of a name, with the initialization that torchvision gives it.

    Raises:
        UserError: The images do not have three channels, or not a size that the network takes.
    """
    name = arguments["name"]
    if shape[0] != _CHANNELS:
        raise UserError(
            f"Networks of torchvision need images of {_CHANNELS} channels; these have {shape[0]}. "
            "Choose another network or data set."
        )
    with _refused(name, shape):
        network: Any = torchvision.models.get_model(
            name, weights=None, num_classes=classes, **_options(name, shape)
        )
        _try(network, shape)
    network.output_layer = _last_layer(network)
    made: nn.Module = network
    return made


def _options(name: str, shape: tuple[int, int, int]) -> dict[str, Any]:
    """What a network is told besides the number of classes."""
    if name in {"googlenet", "inception_v3"}:
        return _LOGITS_ALONE
    if name.startswith("vit_"):
        return {"image_size": shape[1]}
    return {"input_size": shape[1:]} if name.startswith("maxvit_") else {}


def _try(network: nn.Module, shape: tuple[int, int, int]) -> None:
    """Run the network without values: what it cannot do with such images, it says."""
    tensors = chain(network.named_parameters(), network.named_buffers())
    hollow = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    images = torch.empty(2, *shape, device="meta")
    with torch.no_grad():
        torch.func.functional_call(network.eval(), hollow, (images,))
    network.train()


@contextmanager
def _refused(name: str, shape: tuple[int, int, int]) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"torchvision's {name} does not take images of {shape[1]} x {shape[2]} pixels: "
            f"{reason.rstrip('.')}. Choose another network, or resize the images."
        ) from error


def _last_layer(network: nn.Module) -> str:
    """The name of the layer that gives the logits; the last to be made in every network there."""
    layers = (nn.Conv2d, nn.Linear)
    found: list[str] = [n for n, module in network.named_modules() if isinstance(module, layers)]
    return found[-1]
