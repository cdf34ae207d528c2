"""How a layer or norm becomes a smaller one: which rows and columns of its weights stay."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pruning.compaction.carried import condensed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pruning.compaction.carried import Indices
    from pruning.liveness import Bools


Layer = nn.Conv2d | nn.Linear


class Slice(NamedTuple):
    """A part of a convolution or linear layer, as many of each group that is left."""

    rows: Indices
    """Output channels, rising."""

    columns: Indices
    """Input channels, group by group."""

    groups: int


class Sliced(NamedTuple):
    """A smaller layer, and what it leaves out."""

    layer: Layer
    offset: Tensor | None
    """(rows,): the same at all positions, for a norm to take up."""

    rest: Tensor
    """(1, ...) with its rows: what is to be added to its output otherwise."""


def everything(layer: Layer, inputs: int, outputs: int) -> Slice:
    """The whole layer."""
    return Slice(np.arange(outputs), np.arange(inputs), groups_of(layer))


def needed(layer: Layer, live: tuple[Bools, Bools], connected: Bools | None) -> Slice:
    """The rows that are live, and the columns through which anything live reaches them.

    Groups without live rows go. Of the others as many rows and columns stay as in the one that
    needs most: dead ones make up for what is missing.

    Args:
        layer: A convolution or linear layer.
        live: Which input channels, and which output channels, are live; of the latter, any.
        connected: (outputs, inputs of a group): where weights are kept, if not everywhere.
    """
    groups = groups_of(layer)
    inputs, outputs = live[0].reshape(groups, -1), live[1].reshape(groups, -1)
    kept = np.ones((live[1].size, inputs.shape[1]), bool) if connected is None else connected
    by_group = kept.reshape(groups, outputs.shape[1], -1) & outputs[:, :, None]
    read = by_group.any(1) & inputs
    some = np.flatnonzero(outputs.any(1))
    rows = _most(outputs[some]) + some[:, None] * outputs.shape[1]
    columns = _most(read[some]) + some[:, None] * inputs.shape[1]
    return Slice(rows.ravel(), columns.ravel(), len(some))


def _most(chosen: Bools) -> Indices:
    """(groups, most of any): in each group those that are chosen, and others to be as many."""
    most = int(chosen.sum(1).max())
    first = np.argsort(~chosen, axis=1, kind="stable")[:, :most]
    return np.sort(first, axis=1)


def sliced(layer: Layer, part: Slice, constants: Tensor, *, before_norm: bool) -> Sliced:
    """The part of a layer, with what the channels that it does not read contribute.

    Args:
        layer: A convolution or linear layer, weights in their own type.
        part: Of it.
        constants: The layer's output in float64, (1, ...), bias included, for inputs of which all
            that the part reads is 0.
        before_norm: Whether a batch norm with statistics reads it, and nothing else.
    """
    axis = 1 if isinstance(layer, nn.Conv2d) else constants.dim() - 1
    rest = constants.index_select(axis, torch.from_numpy(part.rows))
    small = _small(layer, part)
    level = condensed(rest, axis)
    if level.numel() == len(part.rows):
        values = level.reshape(-1)
        if layer.bias is not None or (not before_norm and bool(values.any())):
            small.bias = _bias(values, layer)
            return Sliced(small, None, torch.zeros_like(rest))
        return Sliced(small, values if bool(values.any()) else None, torch.zeros_like(rest))
    if layer.bias is not None:
        own = layer.bias.detach()[torch.from_numpy(part.rows)]
        small.bias = _bias(own, layer)
        rest = rest - _along(own.double(), axis, rest.dim())
    return Sliced(small, None, rest)


def norm(module: nn.Module, channels: Indices, offset: Tensor | None) -> nn.Module:
    """A batch or instance norm of some of its channels.

    Args:
        module: The norm.
        channels: Those that stay.
        offset: (channels that stay,): what its input lacks.
    """
    small, index = copy.deepcopy(module), torch.from_numpy(channels)
    small.num_features = len(channels)  # type: ignore[assignment]  # any norm's own attribute
    for name, tensor in _vectors(module):
        part = tensor.detach()[index]
        if name == "running_mean" and offset is not None:
            part = (part.double() - offset).to(part.dtype)
        kind = isinstance(tensor, nn.Parameter)
        setattr(small, name, nn.Parameter(part, tensor.requires_grad) if kind else part)
    return small


def _vectors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name in ("weight", "bias", "running_mean", "running_var"):
        tensor = getattr(module, name, None)
        if tensor is not None:
            yield name, tensor


def _small(layer: Layer, part: Slice) -> Layer:
    """The layer's part; its bias is still to come."""
    small = copy.deepcopy(layer)
    weight = layer.weight.detach()[torch.from_numpy(part.rows)]
    columns = part.columns.reshape(part.groups, -1)
    inside = torch.from_numpy(columns % layer.weight.shape[1])
    of_rows = inside.repeat_interleave(len(part.rows) // part.groups, 0)
    of_rows = of_rows.reshape(*of_rows.shape, *(1 for _ in weight.shape[2:]))
    weight = weight.take_along_dim(of_rows, 1)
    small.weight = nn.Parameter(weight.contiguous(), layer.weight.requires_grad)
    if isinstance(small, nn.Conv2d):
        small.in_channels, small.out_channels = len(part.columns), len(part.rows)
        small.groups = part.groups
    else:
        small.in_features, small.out_features = len(part.columns), len(part.rows)
    small.bias = None
    return small


def _bias(values: Tensor, layer: Layer) -> nn.Parameter:
    like = layer.weight if layer.bias is None else layer.bias
    return nn.Parameter(values.to(like.dtype, copy=True), like.requires_grad)


def groups_of(layer: Layer) -> int:
    """Of a convolution; a linear layer is one group."""
    return layer.groups if isinstance(layer, nn.Conv2d) else 1


def _along(vector: Tensor, axis: int, dims: int) -> Tensor:
    return vector.reshape(*(-1 if dim == axis else 1 for dim in range(dims)))
