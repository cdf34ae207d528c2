"""Whether an operation that moves numbers about does the same to some of the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.fx.node import map_aggregate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pruning.compaction.carried import Carried, Indices

_ROUNDING = 1e-12
"""Of a mean of equal numbers in float64; names differ by more."""

_REFUSED = (RuntimeError, TypeError, ValueError, IndexError, AttributeError)
"""What operations raise that cannot be done to fewer channels."""


def with_replaced(n: fx.Node, table: Mapping[fx.Node, Any]) -> tuple[Any, Any]:
    """The arguments of an operation with others in the place of nodes."""

    def replaced(argument: Any) -> Any:  # noqa: ANN401 - arguments
        return table[argument] if isinstance(argument, fx.Node) else argument

    def thinned(argument: Any) -> Any:  # noqa: ANN401 - arguments
        if isinstance(argument, list | tuple):
            kept = [x for x in argument if not (isinstance(x, fx.Node) and table[x] is None)]
            return type(argument)(kept) if len(kept) != len(argument) else argument
        return argument

    args = tuple(map_aggregate(thinned(argument), replaced) for argument in n.args)
    kwargs = {key: map_aggregate(thinned(x), replaced) for key, x in n.kwargs.items()}
    return args, kwargs


def moves_alike(
    run: Callable[[dict[fx.Node, Any]], Any],
    given: Mapping[fx.Node, Carried],
    out: Carried,
    *,
    apart: bool,
) -> bool:
    """Whether the live channels alone give the live channels of the result, in their order.

    Args:
        run: The operation.
        given: Its tensors.
        out: Its result.
        apart: Whether it moves numbers, so that each must end where it does; else it makes numbers
            out of those of one channel.
    """
    names = _names(given, apart=apart)
    few = {node: _chosen(names[node], x.wanted, x.axis) for node, x in given.items()}
    try:
        whole, part = run(dict(names)), run(dict(few))
    except _REFUSED:
        return False
    if not isinstance(whole, Tensor) or not isinstance(part, Tensor):
        return False
    wanted = _chosen(whole, out.wanted, out.axis)
    if wanted is None or part.shape != wanted.shape:
        return False
    return torch.allclose(part, wanted, rtol=_ROUNDING, atol=0.0)


def gathered(
    run: Callable[[dict[fx.Node, Any]], Any], node: fx.Node, x: Carried, out: Carried
) -> Indices | None:
    """The channels that the live ones of the result are, if it does nothing but choose them."""
    names = _names({node: x}, apart=True)[node]
    whole = run({node: names})
    if x.axis is None or x.axis != out.axis or whole.dim() != names.dim():
        return None
    wanted = _chosen(whole, out.wanted, out.axis)
    if wanted is None:
        return None
    firsts = names.transpose(0, x.axis).flatten(1)[:, 0].numpy()
    found = wanted.transpose(0, x.axis).flatten(1)[:, 0].numpy()
    places = np.searchsorted(firsts, found).clip(max=len(firsts) - 1)
    chosen = _chosen(names, places, x.axis)
    alike = chosen is not None and chosen.shape == wanted.shape and bool((chosen == wanted).all())
    return places if alike and bool(np.isin(places, x.channels).all()) else None


def _names(given: Mapping[fx.Node, Carried], *, apart: bool) -> dict[fx.Node, Tensor]:
    """Numbers that tell entries, or channels, of all tensors apart."""
    names, first = {}, 1
    for node, x in given.items():
        shape = x.value.shape
        if apart:
            own = torch.arange(first, first + x.value.numel(), dtype=torch.float64).reshape(shape)
        else:
            lone = [-1 if dim == x.axis else 1 for dim in range(len(shape))]
            count = torch.arange(first, first + len(x.live), dtype=torch.float64)
            own = count.reshape(lone).expand(shape)
        names[node] = own
        first += x.value.numel()
    return names


def _chosen(names: Tensor, channels: Indices, axis: int | None) -> Tensor | None:
    """Those channels; None where there are none."""
    if axis is None or not len(channels):
        return None
    return names.index_select(axis, torch.from_numpy(channels))
