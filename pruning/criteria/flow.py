# ruff: noqa: SLF001 - torch's operations on many tensors at once are named with an underscore
"""What flows through a network without signs, however many layers deep, in float32?

Activations of absolute weights grow with every layer, beyond float32 in a deep network. But most
layers keep a factor, f(cx) = cf(x): so an activation is kept as moderate values and a power of two,
to which biases, shifts and the other side of a sum are brought. Multiplying by powers of two is
exact. The gradient needs no such care: what it has at a layer, multiplied by the layer's values,
adds up to the output (Tanaka et al. 2020, theorem 1), so it is moderate where they are. The layers
are found in the network's graph; where one is not known, nothing is guessed.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

FEW = 16
"""At so few positions or fewer a convolution is done as a product of matrices: reading the weights
is what takes time, and convolutions that are made for many positions read them several times."""

SMALL = 1 << 16
"""A layer with no more weights is small. The weights of a small convolution are multiplied by the
scales of its batch norm; of a larger one, the output is."""

MODERATE = 16
"""A layer's largest value may lie between two to the power of this and the inverse of that."""

BEYOND = 100
"""A power of two this high cannot be multiplied by: the product may be beyond float32."""


Value = Any
"""What a node of the graph gives: a flow, or a size; what it is told: numbers."""


class UnknownFlowError(Exception):
    """The network does something of which it is not known that it keeps a factor."""


@dataclass(frozen=True)
class Flow:
    """``values`` times two to the power of ``exponent``, one for all entries."""

    values: Tensor
    exponent: int = 0


class Given(NamedTuple):
    """The tensors of one pass."""

    weights: Mapping[str, Tensor]
    """Of convolutions and linear layers, by name; the scale of a folded batch norm included."""
    biases: Mapping[str, Tensor]
    """Of the same, where they have any, by the names of the layers."""
    norms: Mapping[str, tuple[Tensor, Tensor]]
    """The scales and shifts of the other batch norms."""
    signless: bool
    """Nothing is negative anywhere, so that ReLU does nothing."""


@dataclass(frozen=True)
class Plan:
    """How a network is run; it may be kept, and keeps no network in memory."""

    steps: tuple[tuple[fx.Node, Callable[..., Any]], ...]
    """The nodes of the graph, and what each does with ``Given`` and its arguments."""
    layers: Mapping[str, bool]
    """The names of convolutions and linear layers, and whether each has a bias."""
    norms: Mapping[str, float]
    """The names of batch norms, and the eps of each."""
    folded: Mapping[str, str]
    """Of batch norms whose scale goes into weights, and the convolutions that these are of.

    A weight's score is the same for it, as ``cw d/d(cw) = w d/dw``.
    """
    narrow: bool
    """All layers are small: several threads would wait for one another more than they compute."""

    @contextmanager
    def threads(self) -> Iterator[None]:
        """So many threads as suit the network; as before when left."""
        before = torch.get_num_threads()
        torch.set_num_threads(1 if self.narrow else before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    @torch.no_grad()
    def given(self, weights: Mapping[str, Tensor]) -> Given:
        """What a pass is given: everything in float32, parameters without their signs."""
        layers = [f"{name}.weight" for name in self.layers]
        absolute = dict(zip(layers, _signless(weights, layers), strict=True))
        biased = [name for name, has_bias in self.layers.items() if has_bias]
        biases = dict(zip(biased, _signless(weights, [f"{n}.bias" for n in biased]), strict=True))
        norms = self._norms(weights)
        for norm, layer in self.folded.items():
            scale, shift = norms.pop(norm)
            absolute[f"{layer}.weight"].mul_(scale.view(-1, 1, 1, 1))
            biases[layer] = shift.addcmul(biases[layer], scale) if layer in biases else shift
        if self.narrow:
            absolute = {name: arranged(weight) for name, weight in absolute.items()}
        shifts = [*biases.values(), *(shift for _, shift in norms.values())]
        lowest = torch.cat(shifts).min() if shifts else 0
        return Given(absolute, biases, norms, signless=bool(lowest >= 0))

    def _norms(self, weights: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """The scale and shift of each batch norm: x to scale x + shift."""
        if not self.norms:
            return {}
        means, variances = (
            [weights[f"{name}.{part}"].float() for name in self.norms]
            for part in ("running_mean", "running_var")
        )
        gammas, betas = (
            _signless(weights, [f"{name}.{part}" for name in self.norms])
            for part in ("weight", "bias")
        )
        scales = torch._foreach_rsqrt(torch._foreach_add(variances, list(self.norms.values())))
        torch._foreach_mul_(scales, gammas)
        torch._foreach_sub_(betas, torch._foreach_mul(means, scales))
        return dict(zip(self.norms, zip(scales, betas, strict=True), strict=True))

    def flow(self, given: Given, x: Tensor) -> Flow:
        """What comes out of the network in evaluation mode for ``x`` of the shape (1, C, H, W).

        Raises:
            UnknownFlowError: A function is not known, or float32 has no numbers for the flow.
        """
        found: dict[fx.Node, Any] = {}
        for node, step in self.steps:
            args = fx.map_arg(node.args, found.__getitem__)
            kwargs = fx.map_arg(node.kwargs, found.__getitem__) if node.kwargs else {}
            found[node] = step(given, *args, **kwargs) if found else Flow(x)
        return _flow(found[node])


def arranged(tensor: Tensor) -> Tensor:
    """With channels last: small convolutions, and their gradients above all, are faster so."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def _signless(weights: Mapping[str, Tensor], names: Sequence[str]) -> list[Tensor]:
    """New tensors: absolute values in float32."""
    return list(torch._foreach_abs([weights[name].float() for name in names])) if names else []


def plan_of(network: nn.Module) -> Plan | None:
    """How to run a network that is in evaluation mode.

    None if it cannot be traced, has hooks or one tensor under two names, or a module is not known.
    """
    names = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    if hooked or len(names) > len(list(network.parameters())):
        return None
    try:
        graph = fx.Tracer().trace(network)
    except Exception:  # noqa: BLE001 - whatever a network does that tracing cannot follow
        return None
    modules = dict(network.named_modules())
    folded = dict(_foldable(graph, modules))
    try:
        steps = tuple((node, _step(node, modules, folded)) for node in graph.nodes)
    except UnknownFlowError:
        return None
    called = sorted({str(node.target) for node in graph.nodes if node.op == "call_module"})
    layers = {n: modules[n].bias is not None for n in called if type(modules[n]) in _LAYERS}
    norms = {n: modules[n].eps for n in called if type(modules[n]) in _NORMS}
    narrow = all(modules[name].weight.numel() <= SMALL for name in layers)
    return Plan(steps, layers, norms, folded, narrow)


def _foldable(graph: fx.Graph, modules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names of batch norms, and of the small convolutions that they follow."""
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    for node in graph.nodes:
        before = node.all_input_nodes[0] if node.all_input_nodes else node
        if node.op != "call_module" or before.op != "call_module" or len(before.users) > 1:
            continue
        norm, layer = modules[node.target], modules[before.target]
        once = calls[node.target] == calls[before.target] == 1
        fits = type(norm) is nn.BatchNorm2d and type(layer) is nn.Conv2d
        if once and fits and norm.affine and layer.weight.numel() <= SMALL:
            yield str(node.target), str(before.target)


def _step(node: fx.Node, modules: Mapping[str, Any], folded: Collection[str]) -> Callable[..., Any]:
    """What the node does."""
    module = modules[str(node.target)] if node.op == "call_module" else None
    overwrites = node.target in _OVERWRITING or node.kwargs.get("inplace")
    shared = any(len(source.users) > 1 for source in node.all_input_nodes[:1])
    if shared and (overwrites or getattr(module, "inplace", False)):
        raise UnknownFlowError  # something else reads what has changed
    if module is not None and len(node.args) == 1 and not node.kwargs:
        step = _module_step(module, str(node.target))
        return _nothing if node.target in folded else step
    if node.op in {"call_function", "call_method"}:
        return _function_step(node)
    if node.op == "output" or (node.op == "placeholder" and node.prev.op == "root"):
        return _nothing
    raise UnknownFlowError


def _module_step(module: Value, name: str) -> Callable[..., Value]:
    kind = type(module)
    if kind is nn.Linear:
        return partial(_layer, name, functional.linear)
    if kind is nn.Conv2d and module.padding_mode == "zeros":
        return partial(_layer, name, partial(_convolved, _Moves.of(module)))
    if kind in _NORMS and module.running_mean is not None and module.affine:
        return partial(_normalized, name)
    if kind in _KEEPING_MODULES:
        return partial(_kept, module)
    if kind in _OTHERS:
        return _OTHERS[kind]
    raise UnknownFlowError


def _function_step(node: fx.Node) -> Callable[..., Value]:
    """What a function, or the method of a name, does; sizes are not scaled."""
    target: Value = node.target
    with_zeros = len(node.args) == 2 and not node.kwargs.get("value")
    if target in _KEEPING or (target is functional.pad and with_zeros):
        return partial(_kept, getattr(torch.Tensor, target) if isinstance(target, str) else target)
    if target in _SUMS and len(node.all_input_nodes) == 2 and not node.kwargs:
        return _sum
    if target == "size" or (target is getattr and node.args[1] == "shape"):
        return partial(_size, node)
    if target in _ARITHMETIC:
        return partial(_counted, target)
    if target in _OTHERS:
        return _OTHERS[target]
    raise UnknownFlowError


# What steps do: with what a pass is given, and the node's arguments.


def _nothing(_: Given, x: Value, *__: Value, **___: Value) -> Value:
    return x


def _relu(given: Given, x: Flow, **_: Value) -> Flow:
    x = _flow(x)
    return x if given.signless else Flow(functional.relu(x.values), x.exponent)


def _kept(call: Callable[..., Tensor], _: Given, x: Flow, *args: Value, **kwargs: Value) -> Flow:
    x = _flow(x)
    return Flow(call(x.values, *args, **kwargs), x.exponent)


def _layer(name: str, call: Callable[..., Tensor], given: Given, x: Flow) -> Flow:
    x = _flow(x)
    bias = given.biases.get(name)
    bias = None if bias is None else scaled(bias, -x.exponent)
    return _moderate(Flow(call(x.values, given.weights[f"{name}.weight"], bias), x.exponent))


def _normalized(name: str, given: Given, x: Flow) -> Flow:
    x = _flow(x)
    shape = (-1, *[1] * (x.values.dim() - 2))
    scale, shift = given.norms[name]
    moved = scaled(shift, -x.exponent).view(shape)
    return Flow(torch.addcmul(moved, x.values, scale.view(shape)), x.exponent)


def _sum(_: Given, x: Flow, y: Flow) -> Flow:
    one, other = _aligned([x, y])
    return Flow(one.values + other.values, one.exponent)


def _joined(_: Given, parts: Sequence[Flow], *args: Value, **kwargs: Value) -> Flow:
    parts = _aligned(parts)
    return Flow(torch.cat([part.values for part in parts], *args, **kwargs), parts[0].exponent)


def _size(node: fx.Node, _: Given, x: Flow, *args: Value) -> Value:
    call = getattr if node.op == "call_function" else torch.Tensor.size
    return call(_flow(x).values, *args)


def _item(given: Given, x: Value, index: Value) -> Value:
    """Part of an activation, or one of its sizes."""
    return _kept(operator.getitem, given, x, index) if isinstance(x, Flow) else x[index]


def _counted(call: Callable[..., Any], _: Given, *args: Value) -> Value:
    """Arithmetic with sizes."""
    if any(isinstance(arg, Flow) for arg in args):
        raise UnknownFlowError
    return call(*args)


class _Moves(NamedTuple):
    """How a convolution moves over an image, by height and width."""

    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, layer: nn.Conv2d) -> _Moves:
        """Those of a layer."""
        return cls(layer.stride, layer.padding, layer.dilation, layer.groups)


def _convolved(moves: _Moves, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    stride, padding, dilation, groups = moves
    if x.shape[2] * x.shape[3] > FEW or groups > 1 or isinstance(padding, str):
        return functional.conv2d(x, weight, bias, stride, padding, dilation, groups)
    size = tuple(weight.shape[2:])
    columns = functional.unfold(x, size, dilation, padding, stride)
    rows = functional.linear(columns.transpose(1, 2), weight.flatten(1), bias)
    each = zip(x.shape[2:], size, stride, padding, dilation, strict=True)
    sides = [(n + 2 * pad - gap * (k - 1) - 1) // step + 1 for n, k, step, pad, gap in each]
    return rows.transpose(1, 2).reshape(1, -1, *sides)


def _flow(value: object) -> Flow:
    if not isinstance(value, Flow):
        raise UnknownFlowError
    return value


def _aligned(flows: Sequence[Flow]) -> list[Flow]:
    """The same flows with the highest of their exponents."""
    exponent = max(_flow(flow).exponent for flow in flows)
    return [Flow(scaled(flow.values, flow.exponent - exponent), exponent) for flow in flows]


def _moderate(flow: Flow) -> Flow:
    """The same flow, its largest value brought near 1 if it is very large or very small.

    Raises:
        UnknownFlowError: It is beyond float32 already.
    """
    values = flow.values.detach()
    # Not aminmax, which first copies what has its channels last.
    largest = max(-float(values.amin()), float(values.amax()))
    if not math.isfinite(largest):
        raise UnknownFlowError
    power = math.frexp(largest)[1]
    if abs(power) <= MODERATE:
        return flow
    return Flow(scaled(flow.values, -power), flow.exponent + power)


def scaled(values: Tensor, power: int) -> Tensor:
    """Values times two to a power: exact, or zero where the result is below all numbers.

    Raises:
        UnknownFlowError: The power is so high that the result may be above all numbers.
    """
    if power > BEYOND and values.any():
        raise UnknownFlowError
    return values if power == 0 else values * 2.0 ** min(max(power, -1000), BEYOND)


_LAYERS = (nn.Conv2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_KEEPING_MODULES = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.Flatten,
)
_SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")
_OVERWRITING = (operator.iadd, "add_", "relu_")
_ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.floordiv)
_KEEPING = (
    torch.flatten,
    torch.mean,
    torch.sum,
    functional.max_pool2d,
    functional.avg_pool2d,
    functional.adaptive_avg_pool2d,
    functional.adaptive_max_pool2d,
    "mean",
    "sum",
    "flatten",
    "view",
    "reshape",
    "permute",
    "transpose",
    "contiguous",
    "detach",
)
"""Functions and methods that keep a factor of what they are given first."""

_OTHERS: Mapping[Value, Callable[..., Value]] = {
    nn.Identity: _nothing,
    nn.Dropout: _nothing,
    nn.Dropout2d: _nothing,
    nn.ReLU: _relu,
    functional.relu: _relu,
    torch.relu: _relu,
    "relu": _relu,
    "relu_": _relu,
    torch.cat: _joined,
    operator.getitem: _item,
}
