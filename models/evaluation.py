"""How a network is made faster to evaluate: its batch norms become part of its convolutions.

In evaluation a batch norm multiplies and shifts each channel by constants, which the convolution
before it can do itself. What can be folded is found in the graph of the network, once; the folded
weights are a function of the weights. Sums and ReLUs then overwrite what they are given, where
nothing else reads it.
"""

from __future__ import annotations

import copy
import operator
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Folding:
    """A network whose batch norms are folded. It may be kept, and compiled, for many weights."""

    network: nn.Module
    """The folded network, in evaluation mode: to be called with the folded weights."""

    pairs: tuple[tuple[str, str, float], ...]
    """The names of each convolution and of the batch norm that it absorbs, and the latter's eps."""

    def weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of the folded network from those of the original one."""
        gates = (name for name, _ in self.network.named_buffers())  # which no state has
        own = (*self.network.state_dict(), *gates)
        kept = {name: weights[name] for name in own if name in weights}
        for convolution, norm, eps in self.pairs:
            weight, bias = _fold(weights, convolution, norm, eps)
            kept[f"{convolution}.weight"], kept[f"{convolution}.bias"] = weight, bias
        return kept


def folding(network: nn.Module) -> Folding:
    """What of a network can be folded.

    Each 2-d batch norm with running statistics that follows a 2-d convolution directly, both used
    once. A network that cannot be traced is left as it is. ``network`` itself is not changed.
    """
    network = copy.deepcopy(network).eval()
    graph = _graph(network)
    found = list(_foldable(network, graph)) if graph else []
    if graph is None or not found:
        return Folding(network, ())
    pairs = tuple((conv, norm, _norm(network, norm).eps) for conv, norm, _ in found)
    for convolution, norm, node in found:
        source = cast("nn.Conv2d", network.get_submodule(convolution))
        network.set_submodule(convolution, _with_bias(source))
        network.set_submodule(norm, nn.Identity())
        node.replace_all_uses_with(node.all_input_nodes[0])
        graph.erase_node(node)
    _overwrite(graph, {convolution for convolution, _, _ in pairs})
    return Folding(fx.GraphModule(network, graph), pairs)


def _graph(network: nn.Module) -> fx.Graph | None:
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return None
    if "forward" in vars(network):  # gates are in it; torch.fx would follow that of the class
        return None
    try:
        return fx.Tracer().trace(network)
    except Exception:  # noqa: BLE001 - whatever a network does that tracing cannot follow
        return None


def _foldable(network: nn.Module, graph: fx.Graph) -> Iterator[tuple[str, str, fx.Node]]:
    """The names of convolutions and of their batch norms, and the nodes of the latter."""
    modules = dict(network.named_modules(remove_duplicate=False))
    calls = Counter(modules[str(node.target)] for node in graph.nodes if node.op == "call_module")
    reads = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        convolution, norm = modules[str(before.target)], modules[str(node.target)]
        once = calls[convolution] == calls[norm] == 1 and len(before.users) == 1
        hidden = not reads & {str(before.target), str(node.target)}
        if once and hidden and _fits(convolution, norm):
            yield str(before.target), str(node.target), node


def _overwrite(graph: fx.Graph, convolutions: set[str]) -> None:
    """Let sums and ReLUs work in place on what nothing else reads.

    That is the output of a folded convolution, and a sum; it saves passes through memory.
    """
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_function" and node.args else None
        if not isinstance(before, fx.Node) or len(before.users) > 1:
            continue
        convolved = before.op == "call_module" and before.target in convolutions
        if node.target is operator.add and convolved and len(node.all_input_nodes) == 2:
            node.target = _add_onto
        elif node.target is functional.relu and (convolved or before.target in _SUMS):
            node.update_kwarg("inplace", True)  # noqa: FBT003 - the value of the argument


def _add_onto(x: Tensor, y: Tensor) -> Tensor:
    """The sum, in the memory of ``x`` where it fits."""
    return x.add_(y) if x.shape == y.shape and x.dtype == y.dtype else x + y


_SUMS = (operator.add, _add_onto)


def _fits(convolution: nn.Module, norm: nn.Module) -> bool:
    kinds = type(convolution) is nn.Conv2d and type(norm) is nn.BatchNorm2d
    return kinds and norm.running_mean is not None


def _norm(network: nn.Module, name: str) -> nn.BatchNorm2d:
    return cast("nn.BatchNorm2d", network.get_submodule(name))


def _with_bias(convolution: nn.Conv2d) -> nn.Conv2d:
    """The same convolution with a bias; its weights, which are always given, take no memory."""
    return nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        cast("tuple[int, int]", convolution.kernel_size),
        cast("tuple[int, int]", convolution.stride),
        cast("tuple[int, int]", convolution.padding),
        cast("tuple[int, int]", convolution.dilation),
        convolution.groups,
        padding_mode=convolution.padding_mode,
        device="meta",
    ).eval()


def _fold(
    weights: Mapping[str, Tensor], convolution: str, norm: str, eps: float
) -> tuple[Tensor, Tensor]:
    """The weight and bias that do what the convolution and the batch norm did.

    gamma (w*x + b - mean) / sqrt(variance + eps) + beta = (gamma/sqrt(..) w)*x + ..
    """
    weight, bias = weights[f"{convolution}.weight"], weights.get(f"{convolution}.bias")
    mean = weights[f"{norm}.running_mean"]
    scale = torch.rsqrt(weights[f"{norm}.running_var"] + eps)
    if f"{norm}.weight" in weights:
        scale = scale * weights[f"{norm}.weight"]
    shift = -mean if bias is None else bias - mean
    shift = shift * scale
    if f"{norm}.bias" in weights:
        shift = shift + weights[f"{norm}.bias"]
    return weight * scale.reshape(-1, 1, 1, 1), shift
