"""What a mask leaves of a network: weights, kernels, channels, multiply-accumulates, bytes.

Conventions: one multiply-accumulate for each kept weight and each place where the layer is applied
(height times width of a convolution's output, 1 for a linear layer), padding included, biases,
norms, activations and pooling not. Packed, a tensor is its kept values in float32 and one bit for
each entry, unless that takes more than all values do.

A weight is effective if it is kept and lies on a path from the image to the output
(``pruning.liveness``). The others can go without the loss of anything but constants, which biases
and shifts can take up. A place in a kernel that only ever reads padding counts as read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

import numpy as np

from models.build import prunable
from models.gates import gate_name
from models.wiring import wiring as wiring_of
from pruning.liveness import connections, live_connections, liveness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from models.graph.flow import Step
    from models.wiring import Wiring
    from pruning.liveness import Bools, Liveness
    from pruning.mask import Mask

VALUE = 4
"""Bytes of a float32."""


class Counts(TypedDict):
    """Of one layer, or of all."""

    weights: int
    weights_kept: int
    weights_effective: int
    kernels: int
    """2-d kernels: pairs of an output and an input channel."""
    kernels_alive: int
    """Those with any weight."""
    channels: int
    """Output channels (filters, units)."""
    channels_alive: int
    """Those with any weight."""
    macs: int
    """Multiply-accumulates for one image, dense."""
    macs_kept: int
    """Of kept weights."""
    macs_effective: int
    bytes: int
    bytes_packed: int


class LayerAccount(TypedDict):
    """One convolution or linear layer."""

    layer: str
    """The name of its weight."""
    shape: list[int]
    output: list[int]
    """The shape of its output for one image; empty where the network does not run it."""
    counts: Counts


class GateAccount(TypedDict):
    """One gate of the mask."""

    gate: str
    width: int
    open: int


class Account(TypedDict):
    """A network under a mask."""

    layers: list[LayerAccount]
    """In the order of names."""
    total: Counts
    """Of all layers."""
    others: dict[str, int]
    """``bytes`` and ``bytes_packed`` of all else that is stored: biases, norms, statistics."""
    gates: list[GateAccount]
    sparsity: float
    """The fraction of the layers' weights that is cut."""
    effective_sparsity: float
    """The fraction that is cut or on no path."""
    cut_to_nothing: list[str]
    """Layers with no weight left."""
    cut_off: list[str]
    """Layers with weights left, of which none is effective."""


def account(
    network: nn.Module,
    shape: tuple[int, int, int],
    mask: Mask | None = None,
    wiring: Wiring | None = None,
) -> Account:
    """Count what the mask leaves.

    Args:
        network: Its values do not matter; what the mask does not name is kept.
        shape: (channels, height, width) of the images.
        mask: Of weights, and of biases, norms and gates where it has them.
        wiring: The network's for this shape, if it is known already.

    Raises:
        UserError: The network cannot be traced, or the mask is another network's.
    """
    wiring = wiring or wiring_of(network, shape)
    kept = _kept(network, wiring, mask)
    live = liveness(wiring.flow, connections(wiring.flow, kept))
    layers = list(_layers(network, wiring, kept, live))
    total = _sum(layer["counts"] for layer in layers)
    names = {layer["layer"]: layer["counts"] for layer in layers}
    return {
        "layers": layers,
        "total": total,
        "others": _others(network, set(names), kept),
        "gates": list(_gates(wiring, kept)),
        "sparsity": _missing(total["weights_kept"], total["weights"]),
        "effective_sparsity": _missing(total["weights_effective"], total["weights"]),
        "cut_to_nothing": [name for name, n in names.items() if not n["weights_kept"]],
        "cut_off": [
            name for name, n in names.items() if n["weights_kept"] and not n["weights_effective"]
        ],
    }


def _kept(network: nn.Module, wiring: Wiring, mask: Mask | None) -> dict[str, Bools]:
    if mask is None:
        return {}
    shapes = {name: list(parameter.shape) for name, parameter in network.named_parameters()}
    gates = {gate_name(site.name): [site.width] for site in wiring.sites.values()}
    mask.check(shapes | gates)
    return {name: kept.cpu().numpy() for name, kept in mask.items()}


def _layers(
    network: nn.Module, wiring: Wiring, kept: dict[str, Bools], live: Liveness
) -> Iterator[LayerAccount]:
    calls: dict[str, list[Step]] = {}
    for step in wiring.flow.steps:
        calls.setdefault(step.name, []).append(step)
    for name in prunable(network):
        module, weight = name.removesuffix(".weight"), network.get_parameter(name)
        pairs = [live_connections(step, live) for step in calls.get(module, ())]
        yield {
            "layer": name,
            "shape": list(weight.shape),
            "output": list(wiring.shapes.get(module, ())),
            "counts": _counts(weight, kept.get(name), pairs, wiring.positions.get(module, 0)),
        }


def _counts(weight: Tensor, kept: Bools | None, pairs: list[Bools], positions: int) -> Counts:
    total, channels = weight.numel(), len(weight)
    kernels = channels * weight.shape[1]
    per_kernel = _per_kernel(weight, kept)
    count = int(per_kernel.sum())
    effective = int((per_kernel * np.logical_or.reduce(pairs)).sum()) if pairs else 0
    return {
        "weights": total,
        "weights_kept": count,
        "weights_effective": effective,
        "kernels": kernels,
        "kernels_alive": int(np.count_nonzero(per_kernel)),
        "channels": channels,
        "channels_alive": int(per_kernel.any(1).sum()),
        "macs": total * positions,
        "macs_kept": count * positions,
        "macs_effective": effective * positions,
        "bytes": VALUE * total,
        "bytes_packed": _packed(total, count, VALUE, masked=kept is not None),
    }


def _kernels(kept: Bools) -> Bools:
    """(outputs, inputs of a group, places)."""
    return kept.reshape(*kept.shape[:2], -1)


def _per_kernel(weight: Tensor, kept: Bools | None) -> NDArray[np.uint16] | Bools:
    """How many weights each kernel keeps, (outputs, inputs of a group)."""
    places = weight[0, 0].numel()
    if kept is None:
        return np.full(weight.shape[:2], places, dtype=np.uint16)
    kernels = _kernels(kept)
    return kernels[:, :, 0] if places == 1 else kernels.sum(2, dtype=np.uint16)


def _packed(total: int, kept: int, value: int, *, masked: bool) -> int:
    return min(value * total, value * kept + -(-total // 8)) if masked else value * total


def _others(network: nn.Module, layers: set[str], kept: dict[str, Bools]) -> dict[str, int]:
    whole = packed = 0
    for name, tensor in network.state_dict().items():
        if name in layers:
            continue
        value = VALUE if tensor.is_floating_point() else tensor.element_size()
        total, own = tensor.numel(), kept.get(name)
        whole += value * total
        count = total if own is None else int(own.sum())
        packed += _packed(total, count, value, masked=own is not None)
    return {"bytes": whole, "bytes_packed": packed}


def _gates(wiring: Wiring, kept: dict[str, Bools]) -> Iterator[GateAccount]:
    for site in wiring.sites.values():
        own = kept.get(gate_name(site.name))
        if own is not None:
            yield {"gate": gate_name(site.name), "width": site.width, "open": int(own.sum())}


def _sum(counts: Iterable[Counts]) -> Counts:
    every = [cast("dict[str, int]", each) for each in counts]
    return cast("Counts", {key: sum(n[key] for n in every) for key in Counts.__annotations__})


def _missing(kept: int, total: int) -> float:
    return 1 - kept / total if total else 0.0
