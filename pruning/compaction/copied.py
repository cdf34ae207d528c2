"""How the operations of a network are written again, one after the other.

Each node of the graph is run as the masked network has it, and written anew. Here, all are given
all channels, dead ones as the constants that they are, which is right for every operation;
``pruning.compaction.rewrite`` knows those that can do with less.
"""

from __future__ import annotations

import copy
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from models.graph import rules
from models.graph.interpret import BATCH
from models.graph.trace import name_of
from pruning.compaction.carried import Carried, Writer
from pruning.compaction.masked import Exact, tensors_of
from pruning.compaction.moved import with_replaced

if TYPE_CHECKING:
    from pruning.compaction.masked import Masked
    from pruning.liveness import Liveness


class Copier(Exact):
    """Runs a masked network, and writes one that computes the same."""

    def __init__(self, masked: Masked, live: Liveness) -> None:
        super().__init__(masked)
        self._masked = masked
        self._live = live.reached & live.heard
        self._dependent = _dependent(masked.exact.graph)
        graph = fx.Graph()
        first = next(iter(masked.exact.graph.nodes))
        taken = frozenset(name for name, _ in tensors_of(masked.network))
        dtype = next((p.dtype for p in masked.network.parameters()), torch.float32)
        self.writer = Writer(graph, graph.placeholder(first.name), dtype, taken)
        self._made: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401 - whatever the node gives
        """As the masked network has it; what the smaller one has is written down."""
        value = super().run_node(n)
        self._made[n] = self._written(n, value)
        for done in self.user_to_last_uses.get(n, ()):
            self._made.pop(done, None)
        return value

    def _written(self, n: fx.Node, value: Any) -> Any:  # noqa: ANN401 - a Carried, a node, a number
        if n.op == "placeholder":
            return self._placeholder(n, value)
        if n.op == "get_attr":
            return self._held(str(n.target))
        if n.op == "output":
            return self.writer.graph.output(self._whole(n.args[0]))
        if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(value)):
            return self._number(n, value)
        if isinstance(value, Tensor) and n in self._dependent:
            return self._carried(n, value)
        return self._as_it_was(n)

    def _placeholder(self, n: fx.Node, value: Any) -> Any:  # noqa: ANN401 - as above
        if not isinstance(value, Tensor):
            return value
        lane = self._masked.flow.lanes[n.name]
        every = np.arange(value.shape[1])
        return Carried(self.writer.image, value, 1, every, self._live[lane.wires])

    def _held(self, name: str) -> fx.Node:
        """A tensor that the network holds."""
        owner, _, attribute = name.rpartition(".")
        tensor = getattr(self._masked.network.get_submodule(owner), attribute)
        self.writer.parts[name] = tensor
        return self.writer.graph.get_attr(name)

    def _carried(self, n: fx.Node, value: Tensor) -> Carried:
        lane = self._masked.flow.lanes.get(n.name)
        if lane is None or value.shape[0] != BATCH or value.shape[lane.axis] != len(lane.wires):
            return self._opaque(n, value)
        live = self._live[lane.wires]
        if not live.any():
            return Carried(None, value, lane.axis, np.zeros(0, np.int64), live)
        empty = Carried(None, value, lane.axis, np.flatnonzero(live), live)
        return self._by_rule(n, empty) or self._opaque(n, value)

    def _by_rule(self, n: fx.Node, out: Carried) -> Carried | None:  # noqa: ARG002 - for others
        """What only some channels are needed for; None where all are.

        Args:
            n: The operation.
            out: Its result, of which no node has anything yet.
        """
        return None

    def _operation(self, n: fx.Node) -> str:
        """What it is called, if it is PyTorch's or Python's own."""
        if n.op == "call_module":
            return rules.plain(type(self.fetch_attr(str(n.target))).__name__)
        known = {"torch", "torchvision", "_operator", "builtins"}
        own = n.op == "call_method" or (n.target.__module__ or "torch").split(".")[0] in known
        return rules.plain(name_of(n)) if own else ""

    def _opaque(self, n: fx.Node, value: Tensor) -> Carried:
        """The operation as it was, with all channels of all that it reads."""
        node = self._as_it_was(n)
        for gate in self._masked.gates.get(n.name, ()):
            shape = gate.reshape(-1, *(1 for _ in range(value.dim() - 2)))
            node = self.writer.call(operator.mul, node, self.writer.tensor(shape))
        lane = self._masked.flow.lanes.get(n.name)
        if lane is None or value.shape[0] != BATCH or value.shape[lane.axis] != len(lane.wires):
            return Carried(node, value, None, np.zeros(0, np.int64), np.zeros(0, np.bool_))
        every = np.arange(len(lane.wires))
        return Carried(node, value, lane.axis, every, self._live[lane.wires])

    def _as_it_was(self, n: fx.Node) -> fx.Node:
        return self._copied(n, {m: self._whole(m) for m in n.all_input_nodes})

    def _copied(self, n: fx.Node, replaced: dict[fx.Node, Any]) -> fx.Node:
        """The operation, of other nodes."""
        table = {m: replaced.get(m, self._made[m]) for m in n.all_input_nodes}
        args, kwargs = with_replaced(n, table)
        if n.op == "call_module":
            name = str(n.target)
            self.writer.parts[name] = copy.deepcopy(self._masked.network.get_submodule(name))
        return self.writer.graph.create_node(n.op, n.target, args, kwargs)

    def _whole(self, argument: Any) -> Any:  # noqa: ANN401 - arguments
        return fx.node.map_arg(argument, self._all_of)

    def _all_of(self, n: fx.Node) -> Any:  # noqa: ANN401 - as above
        made = self._made[n]
        return self.writer.whole(made) if isinstance(made, Carried) else made

    # numbers

    def _number(self, n: fx.Node, value: Any) -> Any:  # noqa: ANN401 - as above
        """Sizes are as of the whole network, and only that of the batch is asked for."""
        first = n.args[0] if n.args else None
        x = self._made[first] if isinstance(first, fx.Node) else first
        name = self._operation(n)
        if isinstance(x, Carried) and x.value.shape[0] == BATCH:
            if name == "size" or (name == "getattr" and n.args[1] == "shape"):
                sizes = (self.writer.batch(), *x.value.shape[1:])
                return sizes if name == "getattr" or len(n.args) == 1 else sizes[n.args[1]]  # type: ignore[index]
            if name in {"dim", "getattr"} and isinstance(value, int):
                return value
        if name == "getitem" and isinstance(x, tuple) and not isinstance(n.args[1], fx.Node):
            return x[n.args[1]]  # type: ignore[index]
        known = [self._made[m] for m in n.all_input_nodes]
        if not any(isinstance(leaf, fx.Node | Carried) for leaf in tree_leaves(known)):
            return value
        return self._as_it_was(n)

    def _run(self, n: fx.Node, table: dict[fx.Node, Any]) -> Any:  # noqa: ANN401 - what it gives
        """The operation on other tensors."""
        args, kwargs = with_replaced(n, {m: table.get(m, self.env[m]) for m in n.all_input_nodes})
        if n.op == "call_method":
            return getattr(args[0], str(n.target))(*args[1:], **kwargs)
        run = self._exact(str(n.target)) if n.op == "call_module" else n.target
        return run(*args, **kwargs)  # type: ignore[operator]

    def _exact(self, name: str) -> Any:  # noqa: ANN401 - a module
        return self.fetch_attr(name)


def _dependent(graph: fx.Graph) -> set[fx.Node]:
    """What depends on the images, if only on how many there are."""
    found: set[fx.Node] = set()
    for n in graph.nodes:
        if n.op == "placeholder" or not found.isdisjoint(n.all_input_nodes):
            found.add(n)
    return found
