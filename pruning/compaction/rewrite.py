"""How the operations of a network are done to those of its channels that are live.

Those are the ones that depend on the image, and that the output depends on.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from models.graph import rules
from pruning.compaction import sliced
from pruning.compaction.carried import Carried
from pruning.compaction.copied import Copier
from pruning.compaction.moved import gathered, moves_alike

if TYPE_CHECKING:
    from pruning.compaction.carried import Indices
    from pruning.compaction.masked import Masked
    from pruning.compaction.sliced import Layer
    from pruning.liveness import Liveness

_SUMS = frozenset({"add", "iadd", "radd"})
_MOVES = rules.MOVES | rules.SPATIAL | rules.REDUCTIONS | {"pad"}
_ELEMENTWISE = rules.PASSES | rules.SHIFTS


class Rewriter(Copier):
    """Runs a masked network, and writes the smaller one."""

    def __init__(self, masked: Masked, live: Liveness) -> None:
        super().__init__(masked, live)
        self._again = _called_again(masked)

    def _by_rule(self, n: fx.Node, out: Carried) -> Carried | None:
        """As one of the rules has it; None where none fits."""
        if n.op == "call_module":
            found = self._layer(n, out)
            if found is not None:
                return found
        name = self._operation(n)
        if name in _ELEMENTWISE or name in rules.ARITHMETIC:
            return self._elementwise(n, name, out)
        if name in _MOVES:
            return self._moved(n, name, out)
        return None

    # layers

    def _layer(self, n: fx.Node, out: Carried) -> Carried | None:
        name = str(n.target)
        module = self._masked.network.get_submodule(name)
        x = self._made[n.args[0]] if n.args and isinstance(n.args[0], fx.Node) else None
        if not isinstance(x, Carried) or x.axis != out.axis or x.value.dim() != out.value.dim():
            return None
        along = 1 if isinstance(module, nn.Conv2d) else out.value.dim() - 1
        if isinstance(module, nn.Conv2d | nn.Linear) and _is_plain(module):
            return self._weighed(n, module, x, out) if out.axis == along else None
        if self._operation(n) in rules.NORMS and out.axis == 1:
            return self._norm(n, module, x, out)
        return None

    def _weighed(self, n: fx.Node, module: Layer, x: Carried, out: Carried) -> Carried:
        name = str(n.target)
        if name in self._again:
            part = sliced.everything(module, len(x.live), len(out.live))
        else:
            rows = np.ones_like(out.live) if _is_answer(n) else out.live
            part = sliced.needed(module, (x.live, rows), self._masked.connected.get(name))
        read = np.zeros_like(x.live)
        read[part.columns] = True
        constants = self._exact(name)(_without(x, read | x.live))
        small = sliced.sliced(module, part, constants, before_norm=self._before_norm(n))
        self.writer.parts[name] = small.layer
        node = self.writer.graph.call_module(name, (self.writer.give(x, part.columns),))
        node = self.writer.plus(node, small.rest)
        return _with(out, node, part.rows, small.offset)

    def _before_norm(self, n: fx.Node) -> bool:
        """Whether only a batch norm with statistics, which is run once, reads it."""
        users = list(n.users)
        if len(users) != 1 or users[0].op != "call_module" or users[0].target in self._again:
            return False
        lanes = [self._masked.flow.lanes.get(name) for name in (n.name, users[0].name)]
        if any(lane is None or lane.axis != 1 for lane in lanes):
            return False
        module = self.fetch_attr(str(users[0].target))
        return isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats  # noqa: SLF001 - what all batch norms are

    def _norm(self, n: fx.Node, module: nn.Module, x: Carried, out: Carried) -> Carried:
        name = str(n.target)
        channels = np.arange(len(out.live)) if name in self._again else out.wanted
        offset = None
        if x.offset is not None:
            offset = x.offset[torch.from_numpy(np.searchsorted(x.channels, channels))]
        self.writer.parts[name] = sliced.norm(module, channels, offset)
        node = self.writer.graph.call_module(name, (self.writer.give(x, channels),))
        return _with(out, node, channels)

    # sums, products, and functions of single numbers

    def _elementwise(self, n: fx.Node, name: str, out: Carried) -> Carried | None:
        operands = [argument for argument in n.args if isinstance(argument, fx.Node)]
        if len(operands) != len(n.all_input_nodes) and name in _ELEMENTWISE:
            return None
        if name in _SUMS and not n.kwargs and len(operands) == 2:
            one, other = (self._made[operand] for operand in operands)
            found = self._sum(one, other, out)
            if found is not None:
                return found
        replaced: dict[fx.Node, Any] = {}
        for operand in n.all_input_nodes:
            node = self._aligned(operand, out)
            if node is None:
                return None
            replaced[operand] = node
        return _with(out, self._copied(n, replaced), out.wanted)

    def _aligned(self, operand: fx.Node, out: Carried) -> Any:  # noqa: ANN401 - a node, a number
        """An operand with the channels of the result; None where it has no such channels."""
        made, value = self._made[operand], self.env[operand]
        if not isinstance(value, Tensor) or out.axis is None:
            return made
        axis = out.axis - out.value.dim() + value.dim()
        if axis < 0 or value.shape[axis] == 1:
            return self._whole(operand)
        if isinstance(made, Carried):
            return self.writer.give(made, out.wanted) if made.axis == axis == out.axis else None
        if out.live.all():
            return made
        index = self.writer.tensor(torch.from_numpy(out.wanted))
        return self.writer.call(torch.index_select, made, axis, index)

    def _sum(self, a: Any, b: Any, out: Carried) -> Carried | None:  # noqa: ANN401 - operands
        """Of tensors of one shape, each with channels of its own."""
        if not isinstance(a, Carried) or not isinstance(b, Carried) or out.axis is None:
            return None
        if not (a.axis == b.axis == out.axis and a.value.shape == b.value.shape):
            return None
        wanted, rest, nodes = out.wanted, torch.zeros_like(out.value[:1]), []
        for x in (a, b):
            own = wanted[np.isin(wanted, x.channels)]
            has = np.isin(np.arange(len(x.live)), own)
            rest = rest + _without(x, has)[:1]
            if len(own):
                zeros = torch.zeros_like(_part(rest, np.setdiff1d(wanted, own), out.axis))
                node = self.writer.give(x, own)
                nodes.append(self.writer.among(node, own, wanted, zeros, out.axis))
        node = nodes[0] if len(nodes) == 1 else self.writer.call(operator.add, *nodes)
        return _with(out, self.writer.plus(node, _part(rest, wanted, out.axis)), wanted)

    # what moves or summarizes

    def _moved(self, n: fx.Node, name: str, out: Carried) -> Carried | None:
        given = {m: self._made[m] for m in n.all_input_nodes if isinstance(self.env[m], Tensor)}
        if not all(isinstance(x, Carried) and x.axis is not None for x in given.values()):
            return None
        apart = name in rules.MOVES or name == "pad"
        if moves_alike(lambda table: self._run(n, table), given, out, apart=apart):
            nodes = {
                m: self.writer.give(x, x.wanted) if x.live.any() else None for m, x in given.items()
            }
            return _with(out, self._copied(n, nodes), out.wanted)
        if len(given) == 1:
            return self._from_one(n, next(iter(given.items())), out)
        return None

    def _from_one(
        self, n: fx.Node, source: tuple[fx.Node, Carried], out: Carried
    ) -> Carried | None:
        """A flattening, or a choice of channels, however it is written."""
        node, x = source
        flat = out.value.dim() == 2 and out.value.shape == x.value.flatten(1).shape
        if flat and moves_alike(lambda t: torch.flatten(t[node], 1), {node: x}, out, apart=True):
            return _with(
                out, self.writer.call(torch.flatten, self.writer.give(x, x.wanted), 1), out.wanted
            )
        places = gathered(lambda table: self._run(n, table), node, x, out)
        if places is None:
            return None
        return _with(out, self.writer.give(x, places), out.wanted)


def _called_again(masked: Masked) -> set[str]:
    """Modules that are run several times, or whose weight is another's too: they stay whole."""
    runs = [str(n.target) for n in masked.exact.graph.nodes if n.op == "call_module"]
    weights = [id(getattr(masked.network.get_submodule(name), "weight", name)) for name in runs]
    return {name for name, weight in zip(runs, weights, strict=True) if weights.count(weight) > 1}


def _is_plain(module: Layer) -> bool:
    """Whether it does what its class does in PyTorch."""
    return type(module).forward in {nn.Conv2d.forward, nn.Linear.forward}


def _is_answer(n: fx.Node) -> bool:
    """Whether it is what the network gives: all of it stays then."""
    return all(user.op == "output" for user in n.users)


def _with(out: Carried, node: fx.Node, channels: Indices, offset: Tensor | None = None) -> Carried:
    return Carried(node, out.value, out.axis, channels, out.live, offset)


def _without(x: Carried, gone: np.ndarray[Any, np.dtype[np.bool_]]) -> Tensor:
    """The constants of a tensor, all else 0."""
    kept = torch.from_numpy(~gone).double()
    shape = [-1 if dim == x.axis else 1 for dim in range(x.value.dim())]
    return x.value[:1].where(kept.reshape(shape) > 0, 0.0)


def _part(values: Tensor, channels: Indices, axis: int) -> Tensor:
    return values.index_select(axis, torch.from_numpy(channels))
