"""What a masked network is: its graph, its values as the mask leaves them, and what they mean.

All that a compacted network is checked against and cut from: weights, biases, norms and gates.
"""

from __future__ import annotations

import copy
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from foundations.errors import UserError
from models.gates import gate_name
from models.graph.interpret import BATCH
from models.graph.interpret import flow as flow_of
from models.graph.trace import name_of, traced
from pruning.liveness import connections, liveness
from pruning.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from models.graph.flow import Flow, Lane
    from pruning.liveness import Bools, Liveness

_OUT_OF_PLACE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


class Masked(NamedTuple):
    """A network under a mask."""

    network: nn.Module
    """Its modules, with masked weights of their own type, on the CPU."""

    exact: fx.GraphModule
    """The same in float64, as a graph without operations in place."""

    gates: dict[str, list[Tensor]]
    """By the name of the node that they come after, in float64."""

    flow: Flow
    connected: dict[str, Bools]
    """What is kept, where not all is, as ``pruning.liveness`` asks for it."""


class Exact(fx.Interpreter):
    """Runs a masked network in float64, gates included."""

    def __init__(self, masked: Masked) -> None:
        super().__init__(masked.exact)
        self.extra_traceback = False
        self._gates = masked.gates

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401 - whatever the node gives
        """What the network has there, behind the gates."""
        result = super().run_node(n)
        for gate in self._gates.get(n.name, ()):
            result = result * gate.reshape(-1, *(1 for _ in range(result.dim() - 2)))
        return result


def masked_network(
    network: nn.Module,
    shape: tuple[int, int, int],
    weights: Mapping[str, Tensor],
    mask: Mask | None,
) -> Masked:
    """The network with these weights under this mask.

    Raises:
        UserError: The network cannot be traced, or the mask or weights are another's.
    """
    mask = Mask({}) if mask is None else mask.to("cpu")
    flow = flow_of(network, shape)
    gates = {gate_name(site.name): site for site in flow.sites.values()}
    own = {name: tensor.detach().cpu() for name, tensor in _tensors(network, weights).items()}
    mask.check(
        {name: t.shape for name, t in own.items()} | {g: [s.width] for g, s in gates.items()}
    )
    hollow, graph = traced(network)
    _fill(hollow, mask.apply(own))
    _work_out_of_place(hollow, graph)
    cut: dict[str, list[Tensor]] = {}
    for name in mask.keys() & gates.keys():
        cut.setdefault(gates[name].node, []).append(mask[name].double())
    exact = fx.GraphModule(copy.deepcopy(hollow).double(), graph)
    return Masked(
        hollow,
        exact,
        cut,
        flow,
        connections(flow, {name: kept.numpy() for name, kept in mask.items()}),
    )


def alive(masked: Masked, shape: tuple[int, int, int]) -> Liveness:
    """Which channels depend on the image, and which does the output depend on."""
    if all(step.kind != "multiply" for step in masked.flow.steps):
        return liveness(masked.flow, masked.connected)
    watch = _Watch(masked)
    with torch.no_grad():
        watch.run(blank(shape))
    return liveness(masked.flow, masked.connected, watch.zero & watch.seen)


def blank(shape: tuple[int, int, int]) -> Tensor:
    """Images without anything, to run a masked network on: constants are the same for all."""
    return torch.zeros((BATCH, *shape), dtype=torch.float64)


class _Watch(Exact):
    """Notes which wires are 0 everywhere, for the images that it runs on."""

    def __init__(self, masked: Masked) -> None:
        super().__init__(masked)
        self._lanes = masked.flow.lanes
        self.zero = np.ones(masked.flow.wires + 2, dtype=np.bool_)
        self.seen = np.zeros(masked.flow.wires + 2, dtype=np.bool_)

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401 - as above
        """As ever."""
        result = super().run_node(n)
        lane = self._lanes.get(n.name)
        if lane is not None:
            self._note(lane, result)
        return result

    def _note(self, lane: Lane, result: Tensor) -> None:
        zero = (result == 0).transpose(0, lane.axis).flatten(1).all(1).numpy()
        np.logical_and.at(self.zero, lane.wires, zero)
        self.seen[lane.wires] = True


def tensors_of(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers under all their names, buffers that no state has among them."""
    yield from network.named_parameters(remove_duplicate=False)
    yield from network.named_buffers(remove_duplicate=False)


def _tensors(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the network, ``weights`` in the place of its own."""
    found = {name: weights.get(name, tensor) for name, tensor in tensors_of(network)}
    for name, tensor in tensors_of(network):
        if found[name].shape != tensor.shape:
            raise UserError(
                f"These are weights of another network: {name!r} has the shape "
                f"{list(found[name].shape)}, where the network has {list(tensor.shape)}."
            )
    return found


def _fill(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        owner, _, attribute = name.rpartition(".")
        module = network.get_submodule(owner)
        before = getattr(module, attribute)
        if isinstance(before, nn.Parameter):
            setattr(module, attribute, nn.Parameter(tensor.clone(), before.requires_grad))
        else:
            setattr(module, attribute, tensor.clone())


def _work_out_of_place(network: nn.Module, graph: fx.Graph) -> None:
    """Let nothing be overwritten: what a node gave stays as it was."""
    for module in network.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]  # any module's own flag
    for node in graph.nodes:
        if node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}
        if node.op == "call_function":
            node.target = _OUT_OF_PLACE.get(node.target, _without_underscore(node.target))
        elif node.op == "call_method" and hasattr(Tensor, plain := name_of(node).rstrip("_")):
            node.target = plain if not name_of(node).startswith("_") else node.target


def _without_underscore(function: Any) -> Any:  # noqa: ANN401 - any function
    name = str(getattr(function, "__name__", ""))
    if not name.endswith("_") or name.startswith("_"):
        return function
    return getattr(torch, name[:-1], getattr(functional, name[:-1], function))
