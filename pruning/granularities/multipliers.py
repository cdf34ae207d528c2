"""Where a multiplier of a channel would stand: before which parameters.

Scaling a channel by a number scales what its layer gives. Behind a batch norm that is the norm's
scale and shift, since the norm itself would undo a scaling before it, in training at least. So the
multiplier of a layer's channel stands before the scale and shift of the last norm that the channel
passes, and nothing else does, before anything but the next layer or a sum reads it; without a norm,
before the channel's weights and bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from models.graph.flow import Flow
    from models.wiring import Wiring


class Multiplied(NamedTuple):
    """What the multipliers of a layer's channels stand before."""

    module: str
    """The norm (or depthwise convolution), or the layer itself."""
    channels: int
    """Of the layer."""
    rows: Mapping[str, NDArray[np.int64]]
    """By the name of a parameter: which of the layer's channels each of its rows is of."""

    def sums(self, products: Mapping[str, Tensor]) -> Tensor:
        """(channels,): summed over all entries that are multiplied by one multiplier."""
        total = None
        for name, rows in self.rows.items():
            values = (
                products[name].flatten(1).sum(1) if products[name].dim() > 1 else products[name]
            )
            at = torch.from_numpy(rows).to(values.device)
            if total is None:
                total = torch.zeros(self.channels, dtype=values.dtype, device=values.device)
            total = total.index_add(0, at, values)
        if total is None:
            raise ValueError(f"{self.module} has no parameters.")
        return total


def multipliers(
    wiring: Wiring,
    layers: Iterable[str],
    shapes: Mapping[str, torch.Size],
    *,
    first_norm: bool = False,
) -> dict[str, Multiplied]:
    """Where the multipliers of each layer's channels stand.

    Args:
        wiring: Of the network.
        layers: The names of producers.
        shapes: Of the network's parameters.
        first_norm: Take the first norm, not the last one, behind a depthwise convolution maybe.
    """
    readers = _readers(wiring.flow)
    found = {}
    for layer in layers:
        count = len(wiring.producers[layer])
        passed = list(_passed(wiring, layer, readers, shapes))
        if first_norm:
            passed = [(norm, at) for norm, at in passed if len(shapes[f"{norm}.weight"]) == 1][:1]
        module, rows = passed[-1] if passed else (layer, np.arange(count))
        names = [name for name in (f"{module}.weight", f"{module}.bias") if name in shapes]
        found[layer] = Multiplied(module, count, dict.fromkeys(names, rows))
    return found


def _passed(
    wiring: Wiring, layer: str, readers: NDArray[np.int64], shapes: Mapping[str, torch.Size]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """The norms and depthwise convolutions that all of a layer's channels pass, and nothing else.

    With each, the layer's channel that each of its own carries.
    """
    count = len(wiring.producers[layer])
    carried = np.full(wiring.flow.wires + 2, -1)
    for step in wiring.flow.steps:
        if step.kind == "mix" and step.name == layer:
            carried[step.outputs] = np.arange(count)
        elif step.elementwise and len(step.sources) == 1:
            here = np.where(readers[step.sources[0]] == 1, carried[step.sources[0]], -1)
            carried[step.outputs] = here
            whole = (here >= 0).all() and len(np.unique(here)) == count
            if step.name in wiring.carriers and whole and f"{step.name}.weight" in shapes:
                yield step.name, here


def _readers(flow: Flow) -> NDArray[np.int64]:
    """How many steps read each wire."""
    readers = np.zeros(flow.wires + 2, np.int64)
    for step in flow.steps:
        if step.kind != "bound":
            readers[np.unique(step.sources)] += 1
    return readers
