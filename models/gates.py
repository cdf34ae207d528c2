"""How gates get into a network: multipliers of ones on its activations, one a channel or unit.

A gate that is pruned silences an activation of its channel: after ReLU, or after a residual
addition. The gradient with respect to it is the channel's saliency.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx, nn

from foundations.errors import UserError
from models.graph.trace import traced_in_both_modes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from models.graph.flow import Site

GATE = "gate:"
"""How a mask names the gate of a site: ``gate:blocks.0.relu``."""

HOLDER = "gates"
"""The module of a gated network that holds the gates, as buffers that no state has."""


def gate_name(site: str) -> str:
    """What a mask calls the gate of a site."""
    return f"{GATE}{site}"


def buffer_name(gate: str) -> str:
    """What a gated network calls the gate that a mask calls so: no dots in names of buffers."""
    return f"{HOLDER}.{gate.removeprefix(GATE).replace('.', '/')}"


def gate_tensors(
    mask: Mapping[str, Tensor], dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """The gates of a mask as numbers, by the names of a gated network's buffers.

    To be put beside the weights when the network is called functionally; what a mask has else is
    left out.
    """
    gates = {name: kept for name, kept in mask.items() if name.startswith(GATE)}
    return {buffer_name(name): kept.to(dtype) for name, kept in gates.items()}


def gated(network: nn.Module, sites: Iterable[Site], *, taps: Sequence[Site] = ()) -> nn.Module:
    """The network with a gate at each site; it computes the same while the gates are ones.

    A copy of its modules, with its modes, that shares its parameters and buffers under the names
    they had. A gate is a buffer ``(width,)``, in the state of none; in its place a functional call
    may give one gate for each example, ``(batch, width)``.

    Args:
        network: It is not changed.
        sites: From the network's wiring.
        taps: Sites whose activations the network returns, behind their gates, as a tuple in the
            place of its logits; what no tap needs is not computed.

    Raises:
        UserError: The network cannot be traced, has no such site, or has a part named ``gates``.
    """
    if hasattr(network, HOLDER):
        raise UserError(f"{type(network).__name__} has a part {HOLDER!r}: gates would hide it.")
    chosen = list(sites)
    copy, graph = traced_in_both_modes(network)
    copy.add_module(HOLDER, _holder(chosen, network))
    nodes = {node.name: node for node in graph.nodes}
    for site in (*chosen, *taps):
        if site.node not in nodes:
            raise UserError(f"{type(network).__name__} has no place for a gate {site.name!r}.")
    if taps:
        _tap(graph, [nodes[site.node] for site in taps])
    for site in chosen:
        if nodes[site.node].users:
            _insert(graph, nodes[site.node], buffer_name(site.name))
    run = type(fx.GraphModule(copy, graph)).forward
    copy.forward = MethodType(run, copy)
    return copy


def _holder(sites: Iterable[Site], network: nn.Module) -> nn.Module:
    like = next(network.parameters(), torch.ones(()))
    holder = nn.Module()
    for site in sites:
        ones = torch.ones(site.width, dtype=like.dtype, device=like.device)
        name = buffer_name(site.name).removeprefix(f"{HOLDER}.")
        holder.register_buffer(name, ones, persistent=False)
    return holder


def _tap(graph: fx.Graph, nodes: Iterable[fx.Node]) -> None:
    """Give out what these nodes compute, copied before anything can overwrite it."""
    copies = []
    for node in nodes:
        with graph.inserting_after(node):
            copies.append(graph.call_function(torch.clone, (node,)))
    graph.output_node().args = (tuple(copies),)
    for node in reversed(graph.nodes):
        if not node.users and node.op not in {"placeholder", "output"}:
            graph.erase_node(node)


def _insert(graph: fx.Graph, node: fx.Node, buffer: str) -> None:
    with graph.inserting_after(node):
        gate = graph.create_node("get_attr", buffer)
    with graph.inserting_after(gate):
        product = graph.call_function(_pass_gate, (node, gate))
    node.replace_all_uses_with(product, delete_user_cb=lambda user: user is not product)


def _pass_gate(x: Tensor, gate: Tensor) -> Tensor:
    """(batch, width, ...) times (width,) or (batch, width)."""
    return x * gate.reshape(*gate.shape, *(1 for _ in range(x.dim() - 2)))
