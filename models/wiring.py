"""Which channels of a network are the same channel, and which may be cut together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foundations.errors import check_known
from models.graph.interpret import flow as flow_of
from models.graph.labels import labels, outputs, protected

if TYPE_CHECKING:
    from torch import nn

    from models.graph.flow import Flow, Kind, Site, Wires

Channels = NDArray[np.int64]
"""The label of each channel of a layer; -1 for the image's, and for constants."""

Cut = Mapping[str, NDArray[np.bool_]]
"""By the name of a module: which of its channels are cut."""

Group = tuple[tuple[str, int], ...]
"""Layers, each with the index of one output channel (unit) of its own, that are cut as one."""

COUPLINGS = ("inner", "grouped", "independent")


@dataclass(frozen=True, eq=False)
class Wiring:
    """The channels of a network, by the names of its modules. Equal labels: the same channel."""

    producers: Mapping[str, Channels]
    """Convolutions and linear layers: labels of output channels or units. In the network's order;
    depthwise convolutions are carriers."""

    consumers: Mapping[str, Channels]
    """The same layers: labels of input channels or features."""

    carriers: Mapping[str, Channels]
    """Norms and depthwise convolutions: labels of their channels."""

    protected: frozenset[int]
    """Labels that must not be cut: the output's, the image's, and what is not understood."""

    outputs: frozenset[int]
    """Labels of the network's outputs."""

    sites: Mapping[str, Site]
    """Where gates may stand, by name, in the network's order; none on the outputs."""

    flow: Flow
    """What all this was found from."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each layer's output for one image."""
        return self.flow.shapes

    @property
    def positions(self) -> Mapping[str, int]:
        """At how many places each layer is applied to one image, over all its calls."""
        return self.flow.positions

    def followers(self, layer: str) -> dict[str, Channels]:
        """The norms and depthwise convolutions that a layer's channels pass before any sum.

        Returns:
            By the name of the follower: for each of its channels, the index of the layer's output
            channel that it carries, or -1.

        Raises:
            UserError: There is no such layer.
        """
        check_known("layer", layer, self.producers)
        carried = np.full(self.flow.wires + 2, -1)
        found: dict[str, Channels] = {}
        for step in self.flow.steps:
            if step.kind == "mix" and step.name == layer:
                carried[step.outputs] = np.arange(len(step.outputs))
            elif step.elementwise and len(step.sources) == 1:
                carried[step.outputs] = carried[step.sources[0]]
                if step.name in self.carriers and (carried[step.outputs] >= 0).any():
                    found[step.name] = carried[step.outputs]
        return found


def wiring(network: nn.Module, shape: tuple[int, int, int]) -> Wiring:
    """The channels of a network in evaluation mode.

    Args:
        network: Maps a batch of images to logits; it is not changed.
        shape: (channels, height, width) of the images.

    Raises:
        UserError: The network's graph cannot be traced, or it does not take such images.
    """
    flow = flow_of(network, shape)
    label = _label_of_wires(flow)
    fixed, out = (frozenset(label[wires].tolist()) - {-1} for wires in _special(flow, network))
    gates = ((step.name, set(label[step.outputs].tolist())) for step in flow.steps)
    read = {name for name, found in gates if found <= out}
    return Wiring(
        producers=_by_name(flow, ("mix",), label),
        consumers={s.name: label[s.sources[0]] for s in flow.steps if s.kind == "mix"},
        carriers=_by_name(flow, ("norm", "scale"), label),
        protected=fixed,
        outputs=out,
        sites={name: site for name, site in flow.sites.items() if name not in read},
        flow=flow,
    )


def groups(wiring: Wiring, coupling: str) -> tuple[Group, ...]:
    """The channels that may be cut, each with those that are cut together with it.

    Args:
        wiring: Of the network.
        coupling: ``grouped``: a channel with all that are added to it (a label is a group);
            ``inner``: only channels that nothing else shares, as inside a block: one layer makes
            them, and one alone reads them, with no other layer's channels beside them;
            ``independent``: each channel of each layer by itself, whatever depends on it. The
            network's outputs are in none, and protected channels in the last alone. A cut channel
            is 0 for whatever reads it, but behind a function that is not 0 at 0, such as the
            sigmoid, where it is a constant.

    Returns:
        In the network's order, by the first layer and channel of each group.

    Raises:
        UserError: There is no such coupling.
    """
    check_known("coupling", coupling, COUPLINGS)
    if coupling == "independent":
        return tuple((pair,) for label, pair in _made(wiring) if label not in wiring.outputs)
    together: dict[int, list[tuple[str, int]]] = {}
    for label, pair in _made(wiring):
        if label not in wiring.protected:
            together.setdefault(label, []).append(pair)
    if coupling == "inner":
        alone = _unshared(wiring)
        return tuple((pairs[0],) for n, pairs in together.items() if n in alone and len(pairs) == 1)
    return tuple(tuple(pairs) for pairs in together.values())


def silenced(wiring: Wiring, cut: Cut) -> dict[str, NDArray[np.bool_]]:
    """The channels of norms and depthwise convolutions that nothing but cut channels reaches.

    Their scales, shifts and kernels go with the cut channels, which are zero after them too then.
    A sum is silent where all that is added is; a product, where one factor is.

    Args:
        wiring: Of the network.
        cut: Channels of producers, weights and biases alike; what is not named is kept.
    """
    silent = np.zeros(wiring.flow.wires + 2, dtype=np.bool_)
    found: dict[str, NDArray[np.bool_]] = {}
    for step in wiring.flow.steps:
        if step.kind == "mix":
            silent[step.outputs] = cut.get(step.name, False)
        elif step.elementwise and step.kind != "shift":
            rows = silent[step.sources]
            silent[step.outputs] = rows.any(0) if step.kind == "multiply" else rows.all(0)
        if step.name in wiring.carriers:
            found[step.name] = silent[step.outputs] & found.get(step.name, True)
    return found


def _made(wiring: Wiring) -> Iterator[tuple[int, tuple[str, int]]]:
    """Every output channel of every layer, with its label."""
    for layer, of_layer in wiring.producers.items():
        for index, label in enumerate(of_layer.tolist()):
            yield label, (layer, index)


def _unshared(wiring: Wiring) -> set[int]:
    """The labels of channels that one layer makes, and one reads that reads no other layer's.

    None of a stem that a block and its shortcut read, nor of those of several layers that stand
    beside each other in a concatenation.
    """
    makers: dict[int, set[str]] = {}
    for label, (layer, _) in _made(wiring):
        makers.setdefault(label, set()).add(layer)
    found, seen = set(), Counter[int]()
    for of_layer in wiring.consumers.values():
        labels = set(of_layer.tolist()) & makers.keys()
        seen.update(labels)
        if len(set().union(*(makers[label] for label in labels))) == 1:
            found |= labels
    return {label for label in found if seen[label] == 1}


def _label_of_wires(flow: Flow) -> Channels:
    """Labels where a layer, or an unknown operation, makes the channel, else -1.

    Constants find the -1 of the last two places.
    """
    label = labels(flow)
    makers = [step.outputs for step in flow.steps if step.kind in {"mix", "opaque"}]
    made = np.isin(label, label[np.concatenate(makers)]) if makers else np.zeros(len(label), bool)
    return np.append(np.where(made, label, -1), [-1, -1])


def _special(flow: Flow, network: nn.Module) -> tuple[Wires, Wires]:
    return protected(flow, network), outputs(flow)


def _by_name(flow: Flow, kinds: tuple[Kind, ...], label: Channels) -> dict[str, Channels]:
    return {step.name: label[step.outputs] for step in flow.steps if step.kind in kinds}
