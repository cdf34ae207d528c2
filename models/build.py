"""How a network is built and initialized, and which of its parameters are pruned and trained.

Every parameter of a layer is drawn by a generator keyed by the seed and the parameter's name, so
that what one layer gets does not depend on the others.
"""

from __future__ import annotations

import copy
import math
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from foundations.draws import generator, key
from foundations.errors import unknown
from models import find
from models.initializers import (
    BATCHNORM_INITIALIZERS,
    BIAS_INITIALIZERS,
    INITIALIZERS,
    BatchnormInitializer,
)
from models.weight_initializers import Draw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from models.hparams import ModelHparams

BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def build(
    hparams: ModelHparams, *, shape: tuple[int, int, int], classes: int, seed: int
) -> nn.Module:
    """A network with its initial weights, on the CPU, in float32 and training mode.

    Args:
        hparams: Which network, and how it is initialized.
        shape: (channels, height, width) of the images.
        classes: How many logits the network gives.
        seed: Decides the weights together with ``hparams``, whose ``model_seed`` it overrides:
            another seed reinitializes. The default generators of torch are left as they were.

    Raises:
        UserError: The images do not fit the network.
    """
    network = architecture(hparams, shape=shape, classes=classes, seed=seed)
    _initialize(network, hparams, seed)
    return network


def architecture(
    hparams: ModelHparams, *, shape: tuple[int, int, int], classes: int, seed: int
) -> nn.Module:
    """The network alone, for weights that come from elsewhere; with the arguments of ``build``.

    Its own weights are PyTorch's, drawn by the seed.

    Raises:
        UserError: The images do not fit the network.
    """
    family, arguments = find(hparams.model_name)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(key(seed, "init"))
        return cast(
            "nn.Module", _attribute(family.builder)(arguments, shape=shape, classes=classes)
        )


def initialization_of(
    hparams: ModelHparams,
    *,
    shape: tuple[int, int, int],
    classes: int,
    seed: int,
    left: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]],
) -> dict[str, Tensor]:
    """The initialization of a network that has only some channels left, in places of the whole.

    Each layer is drawn as one of that size is, by its initializer; what is not left is zero.

    Args:
        hparams: Which network, and how it is initialized.
        shape: (channels, height, width) of the images.
        classes: How many logits the network gives.
        seed: As for ``build``.
        left: By the name of a layer: of its outputs, and of its inputs (of a group), which are
            left. A layer that is not named is whole.
    """
    network = build(hparams, shape=shape, classes=classes, seed=seed)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and name in left:
            rows, columns = (torch.from_numpy(each) for each in left[name])
            _draw_small(module, name, rows, columns, hparams, seed)
    return {name: value.detach() for name, value in network.state_dict().items()}


def prunable(network: nn.Module) -> list[str]:
    """The sorted names of the weights of all convolutions and linear layers."""
    layers = (nn.Conv2d, nn.Linear)
    return sorted(f"{name}.weight" for name, m in network.named_modules() if isinstance(m, layers))


def trainable(network: nn.Module, hparams: ModelHparams) -> set[str]:
    """The names of the parameters that training updates: those that are not frozen.

    Raises:
        UserError: An exception from ``others_frozen`` is the beginning of no parameter's name.
    """
    names = {name for name, _ in network.named_parameters()}
    norms = _batchnorm_names(network) & names
    needs_output = hparams.output_frozen or hparams.others_frozen
    output = output_names(network) if needs_output else set()
    others = names - norms - output
    kept = _excepted(others, hparams.others_frozen_exceptions) if hparams.others_frozen else others
    frozen = others - kept
    frozen |= norms if hparams.batchnorm_frozen else set()
    frozen |= output if hparams.output_frozen else set()
    return names - frozen


def output_names(network: nn.Module) -> set[str]:
    """The names of the parameters of the layer that gives the logits."""
    layer = cast("str", network.output_layer)
    return {f"{layer}.{part}" for part, _ in network.get_submodule(layer).named_parameters()}


def _attribute(place: str) -> Callable[..., Any]:
    module, _, attribute = place.partition(":")
    return cast("Callable[..., Any]", getattr(import_module(module), attribute))


@torch.no_grad()
def _initialize(network: nn.Module, hparams: ModelHparams, seed: int) -> None:
    draw_weight = INITIALIZERS[hparams.model_init]
    norm_rule = BATCHNORM_INITIALIZERS[hparams.batchnorm_init]
    spread = BIAS_INITIALIZERS[hparams.bias_init]
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            _draw_bias(module, spread, generator(seed, "init", f"{name}.bias"))
            drawn = generator(seed, "init", f"{name}.weight")
            draw_weight(module, Draw(drawn, hparams.init_width))
        elif isinstance(module, BATCHNORMS) and module.affine:
            _start_batchnorm(module, norm_rule, generator(seed, "init", f"{name}.weight"))


@torch.no_grad()
def _draw_small(
    layer: nn.Conv2d | nn.Linear,
    name: str,
    rows: Tensor,
    columns: Tensor,
    hparams: ModelHparams,
    seed: int,
) -> None:
    """Draw a layer as that of the outputs and inputs that are left."""
    part = layer.weight[rows][:, columns]
    layer.weight.zero_()
    if not part.numel():
        return
    small = copy.deepcopy(layer)
    small.weight = nn.Parameter(part.clone())
    if layer.bias is not None:
        small.bias = nn.Parameter(layer.bias[rows].clone())
        _draw_bias(
            small, BIAS_INITIALIZERS[hparams.bias_init], generator(seed, "init", f"{name}.bias")
        )
        layer.bias.zero_()
        layer.bias[rows] = small.bias
    drawn = Draw(generator(seed, "init", f"{name}.weight"), hparams.init_width)
    INITIALIZERS[hparams.model_init](small, drawn)
    at = rows.nonzero() * layer.weight.shape[1] + columns.nonzero().flatten()
    layer.weight.view(-1, *layer.weight.shape[2:])[at.flatten()] = small.weight.flatten(0, 1)


def _draw_bias(layer: nn.Conv2d | nn.Linear, spread: float, drawn: torch.Generator) -> None:
    """Draw from U(-s / sqrt(fan-in), s / sqrt(fan-in)); at a spread s of 1 that is PyTorch's."""
    if layer.bias is not None:
        bound = spread / math.sqrt(layer.weight[0].numel())
        layer.bias.uniform_(-bound, bound, generator=drawn)


def _start_batchnorm(
    module: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d,
    rule: BatchnormInitializer,
    drawn: torch.Generator,
) -> None:
    module.weight.uniform_(rule.low, rule.high, generator=drawn)
    module.bias.fill_(rule.shift)


def _batchnorm_names(network: nn.Module) -> set[str]:
    norms = [name for name, m in network.named_modules() if isinstance(m, BATCHNORMS)]
    return {f"{name}.{part}" for name in norms for part in ("weight", "bias")}


def _excepted(names: set[str], exceptions: str | None) -> set[str]:
    prefixes = [text.strip() for text in (exceptions or "").split(",") if text.strip()]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            raise unknown("parameter for others_frozen_exceptions that begins with", prefix, names)
    return {name for name in names if name.startswith(tuple(prefixes))}
