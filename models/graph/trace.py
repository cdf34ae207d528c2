"""How a network becomes a graph of operations, and itself stays as it was."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from foundations.errors import UserError
from models.graph import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Tracer(fx.Tracer):
    """Keeps convolutions and linear layers whole, those of a subclass too."""

    proxy_buffer_attributes = True
    """What is computed of buffers alone is in the graph too: the values are not those of the copy
    that is traced."""

    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:
        """Whether the module becomes one node."""
        layer = type(module).forward in {nn.Conv2d.forward, nn.Linear.forward}
        return layer or super().is_leaf_module(module, module_qualified_name)


def traced(network: nn.Module) -> tuple[nn.Module, fx.Graph]:
    """The graph of the network in evaluation mode, and a copy of the network without values.

    The copy is in float32 on the meta device.

    Raises:
        UserError: What the network does depends on the values that it gets.
    """
    hollow = _copied(network, _without_values).eval().float()
    return hollow, _graph(hollow)


def traced_in_both_modes(network: nn.Module) -> tuple[nn.Module, fx.Graph]:
    """A copy that shares the network's tensors and modes, and a graph for training and evaluation.

    Where an argument of an operation is the mode, as in ``dropout(x, training=self.training)``,
    the graph reads the mode when it runs.

    Raises:
        UserError: What the network does depends on values, or other operations run in training.
    """
    twin, other = (_copied(network, lambda tensor: tensor) for _ in range(2))
    training, evaluation = _graph(twin.train()), _graph(other.eval())
    for mine, its in zip(twin.modules(), network.modules(), strict=True):
        mine.training = its.training
    pairs = list(zip(training.nodes, evaluation.nodes, strict=False))
    same = all(a.name == b.name and a.target == b.target for a, b in pairs)
    if not same or len(training.nodes) != len(evaluation.nodes):
        raise UserError(
            f"{type(network).__name__} runs other operations in training than in evaluation, "
            "which gates cannot be put into."
        )
    for node, other in pairs:
        _read_mode(training, node, other)
    return twin, training


def _read_mode(graph: fx.Graph, node: fx.Node, evaluation: fx.Node) -> None:
    """Replace every argument that is true in training and false in evaluation."""
    modes = [a is True and b is False for a, b in zip(node.args, evaluation.args, strict=True)]
    names = [key for key, a in node.kwargs.items() if a is True and not evaluation.kwargs[key]]
    if not any(modes) and not names:
        return
    with graph.inserting_before(node):
        mode = graph.create_node("get_attr", "training")
    pairs = zip(node.args, modes, strict=True)
    node.args = tuple(mode if is_mode else argument for argument, is_mode in pairs)
    node.kwargs = {**node.kwargs, **dict.fromkeys(names, mode)}


def _graph(network: nn.Module) -> fx.Graph:
    try:
        graph = _Tracer().trace(network)
    except Exception as error:
        raise UserError(
            f"The graph of {type(network).__name__} cannot be found: torch.fx says "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__!r}. A network "
            "whose channels are to be followed must not branch on the values that it gets."
        ) from error
    for node in graph.nodes:
        _settle(node, network)
    return graph


def _settle(node: fx.Node, network: nn.Module) -> None:
    """Let whoever reads what this node overwrites read the node's output, which is the same."""
    if not node.all_input_nodes or not _overwrites(node, network):
        return
    before = node.all_input_nodes[0]
    if _is_view(before) and any(user > node for user in before.all_input_nodes[0].users):
        raise UserError(
            f"{type(network).__name__} overwrites a part of a tensor in {node.name!r} and "
            "reads the whole afterwards. Its channels cannot be followed: do not work in place."
        )
    before.replace_all_uses_with(node, delete_user_cb=lambda user: user > node)


def _is_view(node: fx.Node) -> bool:
    called = node.op in {"call_function", "call_method"} and node.all_input_nodes
    return bool(called) and rules.plain(name_of(node)) in rules.VIEWS


def _overwrites(node: fx.Node, network: nn.Module) -> bool:
    if node.op == "call_module":
        return bool(getattr(network.get_submodule(str(node.target)), "inplace", False))
    name = name_of(node)
    in_place = node.kwargs.get("inplace") is True or name in {"iadd", "isub", "imul", "itruediv"}
    return in_place or (name.endswith("_") and not name.endswith("__"))


def name_of(node: fx.Node) -> str:
    """What the operation of a function or method is called, as PyTorch spells it."""
    return str(node.target if isinstance(node.target, str) else node.target.__name__)


def _copied(network: nn.Module, replace: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy of the modules, with other tensors in the place of parameters and buffers."""
    memo: dict[int, Any] = {id(tensor): replace(tensor) for tensor in _tensors(network)}
    return copy.deepcopy(network, memo)


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    return chain(network.parameters(), network.buffers())


def _without_values(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, requires_grad=tensor.requires_grad)
    return empty
