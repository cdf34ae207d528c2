"""How a smaller graph is written: which channels its nodes carry, and how others are put back."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx
from torch.nn import functional

from models.portable.operations import constant, filled

if TYPE_CHECKING:
    from pruning.liveness import Bools

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Carried:
    """A tensor of the network, as the smaller network has it."""

    node: fx.Node | None
    """In the smaller graph; None where nothing depends on the image."""

    value: Tensor
    """All of it, for blank images, in float64. What depends on no image is the same for all."""

    axis: int | None
    """The dimension of channels; None where they are not told apart."""

    channels: Indices
    """Which of its channels the node has, in this order, which rises."""

    live: Bools
    """Of each channel: whether it depends on the image, and the output on it."""

    offset: Tensor | None = None
    """(channels,): what the only reader, a norm, has to add."""

    number: int = field(default_factory=count().__next__)
    """No two have the same."""

    @property
    def wanted(self) -> Indices:
        """The channels that are live."""
        return np.flatnonzero(self.live)


@dataclass(eq=False)
class Writer:
    """A graph that grows, and the modules and tensors that its nodes name."""

    graph: fx.Graph
    image: fx.Node
    dtype: torch.dtype
    taken: frozenset[str]
    """Names that the network has for tensors of its own."""
    parts: dict[str, Any] = field(default_factory=dict)
    _batch: fx.Node | None = None
    _given: dict[tuple[int, bytes], fx.Node] = field(default_factory=dict)

    def call(self, function: Any, *args: Any) -> fx.Node:  # noqa: ANN401 - any operation
        """A call of a function."""
        return self.graph.call_function(function, args)

    def tensor(self, tensor: Tensor) -> fx.Node:
        """A buffer."""
        names = (f"held_{number}" for number in count(len(self.parts)))
        name = next(name for name in names if name not in self.parts and name not in self.taken)
        kept = tensor.to(self.dtype) if tensor.is_floating_point() else tensor
        self.parts[name] = kept.clone()
        return self.graph.get_attr(name)

    def give(self, x: Carried, wanted: Indices) -> fx.Node:
        """The channels of a tensor that are asked for, whether it carries them or not."""
        key = (x.number, wanted.tobytes())
        if key not in self._given:
            self._given[key] = self._give(x, wanted)
        return self._given[key]

    def whole(self, x: Carried) -> fx.Node:
        """All channels."""
        if x.axis is None and x.node is not None:
            return x.node
        return self.give(x, np.arange(len(x.live)))

    def plus(self, node: fx.Node, values: Tensor) -> fx.Node:
        """A constant added, if it is not 0.

        Args:
            node: In the graph.
            values: (1, ...), as the node, along all other dimensions.
        """
        if not bool(values.any()):
            return node
        return self.call(torch.add, node, self.tensor(condensed(values)))

    def among(self, node: fx.Node, own: Indices, wanted: Indices, values: Tensor, axis: int) -> Any:  # noqa: ANN401 - a node
        """The channels ``wanted``, of which the node has its ``own``, and the others are constants.

        Args:
            node: In the graph.
            own: Some of those that are wanted.
            wanted: Channels, rising.
            values: (1, ...): the others, along the axis.
            axis: Where channels are.
        """
        if len(own) == len(wanted):
            return node
        inside = np.searchsorted(wanted, own)
        if not bool(values.any()):
            before, after = int(inside[0]), int(len(wanted) - 1 - inside[-1])
            if len(own) + before + after == len(wanted):
                beside = [0, 0] * (values.dim() - 1 - axis)
                return self.call(functional.pad, node, (*beside, before, after))
            values = values.narrow(axis, 0, 1)
        others = np.setdiff1d(np.arange(len(wanted)), inside)
        order = np.empty(len(wanted), dtype=np.int64)
        order[inside] = np.arange(len(own))
        order[others] = len(own) + np.arange(len(others)) % values.shape[axis]
        held, index = self.tensor(condensed(values, axis)), self.tensor(torch.from_numpy(order))
        return self.call(filled, node, held, index, axis)

    def batch(self) -> fx.Node:
        """How many images there are."""
        if self._batch is None:
            self._batch = self.graph.call_method("size", (self.image, 0))
        return self._batch

    def _give(self, x: Carried, wanted: Indices) -> fx.Node:
        if x.axis is None:
            raise ValueError("The channels of this tensor are not told apart.")
        own = wanted[np.isin(wanted, x.channels)]
        if x.node is None or not len(own):
            return self.call(constant, self.image, self.tensor(_of(x, wanted)))
        node = self._select(x.node, np.searchsorted(x.channels, own), len(x.channels), x.axis)
        if len(own) == len(wanted):
            return node
        return self.among(node, own, wanted, _of(x, np.setdiff1d(wanted, own)), x.axis)  # type: ignore[no-any-return]

    def _select(self, node: fx.Node, places: Indices, size: int, axis: int) -> fx.Node:
        first, count = int(places[0]), len(places)
        if not np.array_equal(places, np.arange(first, first + count)):
            return self.call(torch.index_select, node, axis, self.tensor(torch.from_numpy(places)))
        return node if count == size else self.call(torch.narrow, node, axis, first, count)


def _of(x: Carried, channels: Indices) -> Tensor:
    if x.axis is None:
        raise ValueError("The channels of this tensor are not told apart.")
    return x.value[:1].index_select(x.axis, torch.from_numpy(channels))


def condensed(values: Tensor, axis: int | None = None) -> Tensor:
    """Without repetitions along dimensions where all is the same to rounding, but for the axis."""
    for dim in range(values.dim()):
        first = values.narrow(dim, 0, 1)
        if dim != axis and bool(((values - first).abs() <= 1e-12 * values.abs().amax()).all()):
            values = first
    return values
