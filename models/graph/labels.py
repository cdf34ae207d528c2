"""Which wires are the same channel: they must be cut together, or not at all."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from models.graph.flow import Flow, Step, Wires

    Pair = tuple[Wires, Wires]


def labels(flow: Flow) -> Wires:
    """The label of each wire: the lowest number among those that are the same channel."""
    ties = [_between_wires(pair) for pair in (*_elementwise(flow), *_called_again(flow))]
    found = np.arange(flow.wires)
    while True:
        before = found.copy()
        for one, other in (*ties, *reversed(ties)):
            low = np.minimum(found[one], found[other])
            np.minimum.at(found, one, low)
            np.minimum.at(found, other, low)
        if np.array_equal(found, before):
            return found


def protected(flow: Flow, network: nn.Module) -> Wires:
    """Wires that must never be cut: the image's, the output's, and what is not understood.

    Not understood are unknown operations, channels that meet numbers which the network holds for
    each of them, grouped convolutions, and modules that share one weight.
    """
    shared = _sharing(network)
    found: list[Wires] = [
        wires.ravel()
        for step in flow.steps
        if step.kind in {"image", "bound", "opaque", "output"}
        or step.groups > 1
        or step.name in shared
        for wires in (step.sources, step.outputs)
    ]
    # A column of weights that reads a channel in one call and a constant in another lives on.
    again = (np.stack(pair) for pair in _called_again(flow))
    found += [calls[:, (calls < 0).any(0)].ravel() for calls in again]
    return _wires(found)


def outputs(flow: Flow) -> Wires:
    """Wires whose labels the network's output has, if through unknown operations."""
    found: set[int] = set()
    for step in reversed(flow.steps):
        read = step.kind == "opaque" and int(step.outputs[0]) in found
        if step.kind == "output" or read:
            found.update(step.sources.ravel().tolist())
    return _wires([np.array(sorted(found), dtype=np.int64)])


def _wires(found: Iterable[Wires]) -> Wires:
    wires = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *found]))
    return wires[wires >= 0]


def _elementwise(flow: Flow) -> Iterator[Pair]:
    return ((row, step.outputs) for step in flow.steps if step.elementwise for row in step.sources)


def _called_again(flow: Flow) -> Iterator[Pair]:
    """Inputs and outputs of a layer that is called again are the same channels as before."""
    calls: dict[str, list[Step]] = {}
    for step in flow.steps:
        if step.kind in {"mix", "scale", "norm"}:
            calls.setdefault(step.name, []).append(step)
    for steps in calls.values():
        for one, other in pairwise(steps):
            yield one.outputs, other.outputs
            yield one.sources[0], other.sources[0]


def _between_wires(pair: Pair) -> Pair:
    both = (pair[0] >= 0) & (pair[1] >= 0)
    return pair[0][both], pair[1][both]


def _sharing(network: nn.Module) -> set[str]:
    """The names of layers whose weight is another layer's too."""
    layers = [m for m in network.named_modules() if isinstance(m[1], nn.Conv2d | nn.Linear)]
    times = Counter(id(layer.weight) for _, layer in layers)
    return {name for name, layer in layers if times[id(layer.weight)] > 1}
