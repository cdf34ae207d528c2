"""Which channels lie on a path from the image to the output, through weights that are kept.

A path goes from channel to channel: through a convolution or linear layer where a weight between
the two is kept, through a norm, a depthwise convolution or a gate where the channel's own entry is,
through sums and products from each operand, through unknown operations from everything to
everything. Biases and shifts begin no path: a channel that no image reaches is a constant, which
what reads it could have as its own bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.gates import gate_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.graph.flow import Flow, Step

Bools = NDArray[np.bool_]


class Liveness(NamedTuple):
    """By wire; the last two places stand for constants, and mean nothing in ``heard``."""

    reached: Bools
    """Whether the image reaches it."""

    heard: Bools
    """Whether it reaches the output."""


def liveness(flow: Flow, connected: Mapping[str, Bools], zero: Bools | None = None) -> Liveness:
    """The wires that kept weights reach from the image, and from which they reach the output.

    Args:
        flow: The network.
        connected: What is kept, where not all is: of a convolution or linear layer, by its
            module's name, (outputs, inputs of a group); of a norm or depthwise convolution, or of a
            gate by its site, (channels,).
        zero: By wire, like the result: whether it is 0 if no image reaches it. Nothing passes a
            product with such a wire. Left out, nothing is known of constants.
    """
    reached, heard = (np.zeros(flow.wires + 2, dtype=np.bool_) for _ in range(2))
    for step in flow.steps:
        reached[step.outputs] = _forward(step, reached[step.sources], connected)
        reached[step.outputs] &= _passes(step, reached, zero)
    for step in reversed(flow.steps):
        alive = _backward(step, heard[step.outputs] & _passes(step, reached, zero), connected)
        heard[step.sources[np.broadcast_to(alive, step.sources.shape)]] = True
    return Liveness(reached, heard)


def live_connections(step: Step, live: Liveness) -> Bools:
    """(outputs, inputs of a group): between which a weight of a layer would lie on a path.

    Args:
        step: A call of a convolution or linear layer.
        live: Of the network.
    """
    sources, outputs = live.reached[step.sources[0]], live.heard[step.outputs]
    groups = len(outputs) if step.kind == "scale" else step.groups
    heard, reached = outputs.reshape(groups, -1, 1), sources.reshape(groups, 1, -1)
    pairs: Bools = np.logical_and(heard, reached).reshape(len(outputs), -1)
    return pairs


def _passes(step: Step, reached: Bools, zero: Bools | None) -> Bools:
    """Which outputs are not products with nothing."""
    if zero is None or step.kind != "multiply":
        return np.ones(len(step.outputs), dtype=np.bool_)
    return _every((reached | ~zero)[step.sources])


def connections(flow: Flow, mask: Mapping[str, Bools]) -> dict[str, Bools]:
    """What a mask keeps, where it says so, as ``liveness`` asks for it.

    Args:
        flow: The network.
        mask: Of weights, norms and gates, by name; what it has else is passed over.
    """
    found: dict[str, Bools] = {}
    for step in flow.steps:
        name = gate_name(step.name) if step.kind == "gate" else f"{step.name}.weight"
        if name not in mask:
            continue
        kept = mask[name]
        if step.kind == "mix":
            found[step.name] = np.any(kept.reshape(*kept.shape[:2], -1), axis=2)
        elif step.kind in {"scale", "norm", "gate"}:
            found[step.name] = np.any(kept.reshape(len(kept), -1), axis=1)
    return found


def channels_left(flow: Flow, mask: Mapping[str, Bools]) -> dict[str, tuple[Bools, Bools]]:
    """The outputs and the inputs (of a group) of each layer that lie on a path.

    Args:
        flow: The network.
        mask: As for ``connections``.

    Returns:
        By the name of each convolution and linear layer.
    """
    kept = connections(flow, mask)
    live = liveness(flow, kept)
    pairs: dict[str, Bools] = {}
    for step in flow.steps:
        if step.kind in {"mix", "scale"}:
            own = live_connections(step, live)
            if step.name in kept:
                own = own & kept[step.name].reshape(len(own), -1)
            pairs[step.name] = own | pairs.get(step.name, np.zeros_like(own))
    return {name: (_any(own, axis=1), _any(own, axis=0)) for name, own in pairs.items()}


def _forward(step: Step, rows: Bools, connected: Mapping[str, Bools]) -> Bools:
    if step.kind == "image":
        return np.ones(len(step.outputs), dtype=np.bool_)
    if step.kind == "mix" and step.name in connected:
        between = _between(step, connected[step.name])
        return _any(between & rows.reshape(step.groups, 1, -1), axis=2).ravel()
    if step.elementwise:
        kept = connected.get(step.name)
        any_row = _any(rows, axis=0)
        return any_row if kept is None else any_row & kept
    per_group = _any(rows.reshape(step.groups, -1), axis=1)
    return per_group.repeat(len(step.outputs) // step.groups)


def _backward(step: Step, outputs: Bools, connected: Mapping[str, Bools]) -> Bools:
    """Which sources of each row a live output reads."""
    if step.kind == "output":
        return np.ones(step.sources.shape[1], dtype=np.bool_)
    if step.kind == "mix" and step.name in connected:
        between = _between(step, connected[step.name])
        return _any(between & outputs.reshape(step.groups, -1, 1), axis=1).ravel()
    if step.elementwise:
        kept = connected.get(step.name)
        return outputs if kept is None else outputs & kept
    per_group = _any(outputs.reshape(step.groups, -1), axis=1)
    return per_group.repeat(step.sources.shape[1] // step.groups)


def _between(step: Step, connected: Bools) -> Bools:
    """(groups, outputs of a group, inputs of a group)."""
    return connected.reshape(step.groups, len(step.outputs) // step.groups, -1)


def _any(rows: Bools, axis: int) -> Bools:
    found: Bools = np.logical_or.reduce(rows, axis=axis)
    return found


def _every(rows: Bools) -> Bools:
    found: Bools = np.logical_and.reduce(rows, axis=0)
    return found
