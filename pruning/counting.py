"""Which operations a network carries out for one image, and how large they are.

The network's graph is run on a tensor without values. What is counted of that, and how, is a
convention's (``pruning.conventions``).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from foundations.errors import UserError
from models.graph import rules
from models.graph.interpret import BATCH
from models.graph.trace import name_of, traced
from pruning.conventions import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pruning.mask import Mask

    _Given = tuple[Sequence[Any], Mapping[str, Any]]
    """Arguments, and those that are named."""

_LAYERS = frozenset({"conv1d", "conv2d", "conv3d", "linear"})


def operations(
    network: nn.Module, shape: tuple[int, int, int], mask: Mask | None = None
) -> list[Operation]:
    """Every call of a module, function or method that reads a tensor, in the network's order.

    Args:
        network: Counted in evaluation mode; its values do not matter, and it is not changed.
        shape: (channels, height, width) of the images.
        mask: What is kept of its weights; all of those that it does not name.

    Raises:
        UserError: The network cannot be traced, or does not take such images.
    """
    hollow, graph = traced(network)
    kept = {} if mask is None else {name: layer.kept for name, layer in mask.layers.items()}
    counter = _Counter(fx.GraphModule(hollow, graph), kept)
    with torch.no_grad():
        counter.run(torch.empty((BATCH, *shape), device="meta"))
    return counter.found


class _Counter(fx.Interpreter):
    """Runs a graph on tensors without values, and notes its operations."""

    def __init__(self, module: fx.GraphModule, kept: Mapping[str, int]) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self.found: list[Operation] = []
        self._kept = kept

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401 - whatever the node gives
        """The shapes that it gives; its size is noted."""
        try:
            result = tree_map_only(Tensor, lambda made: made.to("meta"), super().run_node(n))
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise UserError(
                f"The operations of this network cannot be counted at {n.name!r} ({n.target}): "
                f"{str(error).strip().splitlines()[0]}"
            ) from error
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if n.op.startswith("call_") and read and isinstance(result, Tensor):
            module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
            self.found.append(self._sized(n, module, (args, kwargs), (read[0], result)))
        return result

    def _sized(
        self,
        node: fx.Node,
        module: nn.Module | None,
        given: _Given,
        ends: tuple[Tensor, Tensor],
    ) -> Operation:
        name = _name(node, module)
        source, result = (tensor.shape[1:] for tensor in ends)
        weight, bias = _held(module, given) if name in _LAYERS else (None, None)
        weights = 0 if weight is None else weight.numel()
        return Operation(
            name=name,
            inputs=prod(source),
            outputs=prod(result),
            weights=weights,
            kept=self._kept.get(f"{node.target}.weight", weights),
            biases=0 if bias is None else bias.numel(),
            positions=prod(result[:-1] if name == "linear" else result[1:]),
            window=_window(name, module, given, source) or prod(source) // max(prod(result), 1),
        )


def _name(node: fx.Node, module: nn.Module | None) -> str:
    """Layers of a subclass are layers."""
    if isinstance(module, nn.Conv2d):
        return "conv2d"
    return rules.plain(name_of(node) if module is None else type(module).__name__)


def _held(module: nn.Module | None, given: _Given) -> tuple[Tensor | None, Tensor | None]:
    """The weight and bias of a layer, or those that a function is given."""
    if module is not None:
        return getattr(module, "weight", None), getattr(module, "bias", None)
    names = _named(("input", "weight", "bias"), given)
    return names.get("weight"), names.get("bias")


def _window(
    name: str,
    module: nn.Module | None,
    given: _Given,
    source: Sequence[int],
) -> int | None:
    """How many numbers a pool makes one of, where it is told."""
    if "pool" not in name or "adaptive" in name:
        return None
    named = _named(("input", "kernel_size"), given) if module is None else vars(module)
    size = named["kernel_size"]
    return prod(size) if isinstance(size, tuple | list) else int(size ** (len(source) - 1))


def _named(names: Sequence[str], given: _Given) -> dict[str, Any]:
    return {**dict(zip(names, given[0], strict=False)), **given[1]}
