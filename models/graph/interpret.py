"""What flows where: found by running the network's graph on the names of its wires.

Every tensor that depends on the image is replaced by integers of its own shape, the wires of its
entries; all others have a shape alone (they are on the meta device). What moves numbers about is
run on wires as it is; what computes follows ``models.graph.rules``; what is unknown is opaque: its
output depends on all that it reads, and neither may be cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves, tree_map_only

from foundations.errors import UserError
from models.graph import layers, rules
from models.graph.arithmetic import arithmetic, shifted
from models.graph.arrays import along, constants, distinct, reduced, slim, spread
from models.graph.flow import CONSTANT, ZERO, Lane
from models.graph.ledger import Ledger
from models.graph.places import Place, places
from models.graph.trace import traced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.graph.flow import Flow

BATCH = 2
"""Images that are run: two, so that squeezing leaves the batch's dimension."""


class _Call(NamedTuple):
    """An operation and what it is given."""

    name: str
    run: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments."""
        return [leaf for leaf in tree_leaves((self.args, self.kwargs)) if isinstance(leaf, Tensor)]

    def on_wires(self) -> _Call:
        """The same, with constants in the place of tensors that have a shape alone."""
        args, kwargs = tree_map_only(Tensor, _as_wires, (self.args, self.kwargs))
        return self._replace(args=args, kwargs=kwargs)

    @property
    def first(self) -> Tensor | None:
        """The first argument, if it is the only tensor."""
        alone = self.args and isinstance(self.args[0], Tensor) and len(self.tensors) == 1
        return self.args[0] if alone else None


def flow(network: nn.Module, shape: tuple[int, int, int]) -> Flow:
    """The network in evaluation mode as steps.

    Args:
        network: Maps a batch of images to logits; it is not changed.
        shape: (channels, height, width) of the images.

    Raises:
        UserError: The network cannot be traced, or does not take images of this shape.
    """
    hollow, graph = traced(network)
    ledger = Ledger()
    runner = _Runner(fx.GraphModule(hollow, graph), ledger, places(graph, hollow))
    image = ledger.step("image", [[]], shape[0])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        runner.run(spread(image, (BATCH, *shape), 1))
    return ledger.flow()


class _Runner(fx.Interpreter):
    """Runs a graph on wires, and has the steps written down."""

    def __init__(
        self, module: fx.GraphModule, ledger: Ledger, sites: Mapping[str, list[Place]]
    ) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self._ledger = ledger
        self._places = sites

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401 - whatever the node gives
        """As its rule says, and then past the gates that may stand after it."""
        try:
            result = super().run_node(n)
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise UserError(
                f"The channels of this network cannot be followed through {n.name!r} "
                f"({n.target}): {str(error).strip().splitlines()[0]}"
            ) from error
        for place in self._places.get(n.name, ()):
            if isinstance(result, Tensor) and not result.is_meta:
                result = layers.gate(self._ledger, place, n.name, result)
        if isinstance(result, Tensor) and not result.is_meta and n.op != "output":
            self._ledger.lanes |= _lane(n.name, result)
        return result

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - as above
        """What the network holds does not depend on the image."""
        held = super().get_attr(target, args, kwargs)
        return held.to("meta") if isinstance(held, Tensor) else held

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - as above
        """Layers and norms by their kind, other modules as the functions of their names."""
        module, name = self.fetch_attr(target), str(target)
        call = _Call(rules.plain(type(module).__name__), module, args, kwargs)
        if type(module).forward is nn.Conv2d.forward:
            shape = tuple(_hollow(call).shape)
            result = layers.convolution(self._ledger, name, module, _as_wires(args[0]), shape)
        elif type(module).forward is nn.Linear.forward:
            result = layers.linear(self._ledger, name, module, _as_wires(args[0]))
        elif call.name in rules.NORMS:
            result = layers.norm(self._ledger, name, _as_wires(args[0]))
        else:
            return self._apply(call)
        return self._opaque(call) if result is None else result

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - as above
        """By the function's name, if the function is PyTorch's or Python's own."""
        own = (target.__module__ or "torch").split(".")[0]
        known = own in {"torch", "torchvision", "_operator", "builtins"}
        name = rules.plain(target.__name__) if known else ""
        return self._apply(_Call(name, target, args, kwargs))

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - as above
        """By the method's name; expanded wires cannot be viewed, but copied in another shape."""
        method = "reshape" if target == "view" else str(target)

        def run(owner: Any, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
            return getattr(owner, method)(*rest, **named)

        return self._apply(_Call(rules.plain(method), run, args, kwargs))

    def output(self, target: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - as above
        """The network's outputs are read by whoever runs it."""
        for leaf in tree_leaves(args):
            if isinstance(leaf, Tensor):
                self._ledger.step("output", distinct(_as_wires(leaf)), 0)
        return super().output(target, args, kwargs)

    def _apply(self, call: _Call) -> Any:  # noqa: ANN401 - as above
        if all(tensor.is_meta for tensor in call.tensors):
            return _held(call)
        result = self._by_rule(call.on_wires())
        return self._opaque(call) if result is None else result

    def _by_rule(self, call: _Call) -> Any:  # noqa: ANN401 - as above
        if call.name in rules.PASSES:
            return call.first
        if call.name in rules.SHIFTS:
            return None if call.first is None else shifted(self._ledger, call.first)
        if call.name in rules.ARITHMETIC:
            return arithmetic(self._ledger, call.name, _operands(call))
        followed = _FOLLOWED.get(call.name)
        return followed(call) if followed else None

    def _opaque(self, call: _Call) -> Any:  # noqa: ANN401 - as above
        """One wire that depends on all, in the place of every entry of every output."""
        read = [distinct(wires) for wires in call.on_wires().tensors]
        sources = np.unique(np.concatenate(read))
        fill = self._ledger.step("opaque", sources, 1)[0] if len(sources) else CONSTANT
        return tree_map_only(Tensor, lambda out: constants(out.shape, int(fill)), _hollow(call))


def _lane(node: str, wires: Tensor) -> dict[str, Lane]:
    """Channels along dimension 1, or else the last, as after linear layers on sequences."""
    for axis in (1, wires.dim() - 1) if wires.dim() > 1 else ():
        channels = along(wires, axis)
        if channels is not None:
            return {node: Lane(axis, channels)}
    return {}


def _hollow(call: _Call) -> Any:  # noqa: ANN401 - whatever it gives
    """What the operation gives for tensors without values."""

    def emptied(tensor: Tensor) -> Tensor:
        return tensor if tensor.is_meta else torch.empty(tensor.shape, device="meta")

    args, kwargs = tree_map_only(Tensor, emptied, (call.args, call.kwargs))
    return call.run(*args, **kwargs)


def _as_wires(tensor: Tensor) -> Tensor:
    return constants(tensor.shape) if tensor.is_meta else tensor


def _held(call: _Call) -> Any:  # noqa: ANN401 - as above
    """What an operation makes of nothing that depends on the image."""
    made = call.run(*call.args, **call.kwargs)
    if call.name in rules.ZEROS:
        return constants(made.shape, ZERO)
    return tree_map_only(Tensor, lambda tensor: tensor.to("meta"), made)


def _operands(call: _Call) -> list[Any]:
    return [*call.args, *(call.kwargs[key] for key in ("input", "other") if key in call.kwargs)]


def _moved(call: _Call) -> Any:  # noqa: ANN401 - as above
    """Done to the wires, or a list of them; not followed where tensors say what goes where."""
    if call.first is None and (not call.args or isinstance(call.args[0], Tensor)):
        return None
    return tree_map_only(Tensor, slim, call.run(*call.args, **call.kwargs))


def _spatial(call: _Call) -> Tensor | None:
    """Each channel by itself, over all its positions."""
    if call.first is None:
        return None
    one, out = reduced(call.first, range(2, call.first.dim())), _hollow(call)
    return one.expand(out.shape) if one is not None and isinstance(out, Tensor) else None


def _reduced(call: _Call) -> Tensor | None:
    """Over some dimensions."""
    names = ("dim", "keepdim")
    given = dict(zip(names, call.args[1:], strict=False)) | call.kwargs
    if call.first is None or given.get("dim") is None:
        return None
    dims = np.atleast_1d(given["dim"]).tolist()
    one, out = reduced(call.first, dims), cast("Tensor", _hollow(call))
    if one is None:
        return None
    kept = list(call.first.shape)
    for dim in dims:
        kept[dim] = 1
    return one.expand(kept).reshape(out.shape)


def _padded(call: _Call) -> Tensor | None:
    """Zeros, or another constant, around; other ways of padding keep to their channels."""
    if call.first is None:
        return None
    given = dict(zip(("pad", "mode", "value"), call.args[1:], strict=False)) | call.kwargs
    if given.get("mode", "constant") != "constant":
        return _spatial(call) if len(given["pad"]) <= 4 else None
    value = CONSTANT if given.get("value") else ZERO
    return slim(functional.pad(call.first, given["pad"], value=value))


def _zeros(call: _Call) -> Tensor:
    return constants(cast("Tensor", _hollow(call)).shape, ZERO)


_FOLLOWED: dict[str, Callable[[_Call], Any]] = {
    **dict.fromkeys(rules.MOVES, _moved),
    **dict.fromkeys(rules.SPATIAL, _spatial),
    **dict.fromkeys(rules.REDUCTIONS, _reduced),
    **dict.fromkeys(rules.ZEROS, _zeros),
    "pad": _padded,
}
"""Rules that write down no step."""
