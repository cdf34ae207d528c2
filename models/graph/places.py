"""Where gates may stand: after activations and after sums, by readable names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from torch import fx, nn

from models.graph import rules
from models.graph.trace import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class Place(NamedTuple):
    """Somewhere in a graph."""

    name: str
    kind: Literal["activation", "sum"]


def places(graph: fx.Graph, network: nn.Module) -> dict[str, list[Place]]:
    """By the name of the node that they come after.

    Arithmetic with numbers that follows an activation belongs to it (``1.7159 * tanh(x)``). A sum
    that only an activation reads has no place of its own: the activation's is as good.
    """
    found: dict[str, list[Place]] = {}
    names: set[str] = set()
    for node in graph.nodes:
        kind = _kind(node, network)
        if kind:
            place = Place(_new(_name(node), names), kind)
            names.add(place.name)
            found.setdefault(_end(node).name if kind == "activation" else node.name, []).append(
                place
            )
    return found


def _kind(node: fx.Node, network: nn.Module) -> Literal["activation", "sum"] | None:
    if _is_activation(node, network):
        return "activation"
    operands = [argument for argument in node.args if isinstance(argument, fx.Node)]
    is_sum = len(operands) == 2 and _operation(node, network) in {"add", "iadd"}
    users = list(node.users)
    alone = len(users) == 1 and _is_activation(users[0], network)
    return "sum" if is_sum and not alone else None


def _is_activation(node: fx.Node, network: nn.Module) -> bool:
    return _operation(node, network) in rules.ACTIVATIONS


def _operation(node: fx.Node, network: nn.Module) -> str:
    if node.op == "call_module":
        return rules.plain(type(network.get_submodule(str(node.target))).__name__)
    return rules.plain(name_of(node)) if node.op in {"call_function", "call_method"} else ""


def _end(node: fx.Node) -> fx.Node:
    """The last operation with numbers alone that follows the activation and nothing else reads."""
    users = list(node.users)
    if len(users) == 1 and _is_scaling(users[0]):
        return _end(users[0])
    return node


def _is_scaling(node: fx.Node) -> bool:
    called = node.op in {"call_function", "call_method"}
    alone = called and len(node.args) <= 2 and len(node.all_input_nodes) == 1
    return alone and rules.plain(name_of(node)) in rules.ARITHMETIC and not _squares(node)


def _squares(node: fx.Node) -> bool:
    """Whether it takes its one input twice: ``x * x``."""
    return sum(isinstance(argument, fx.Node) for argument in node.args) > 1


def _name(node: fx.Node) -> str:
    if node.op == "call_module":
        return str(node.target)
    operation = name_of(node).strip("_")
    stack = [path for path in node.meta.get("nn_module_stack", {}) if path]
    return ".".join([*stack[-1:], "add" if operation == "iadd" else operation])


def _new(name: str, taken: set[str]) -> str:
    """The name, or the first of ``name_1``, ``name_2``, ... that is not taken."""

    def candidates() -> Iterator[str]:
        yield name
        number = 1
        while True:
            yield f"{name}_{number}"
            number += 1

    return next(candidate for candidate in candidates() if candidate not in taken)
