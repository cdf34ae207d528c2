"""How wires lie in a tensor: integers in the shape of the numbers that they stand for.

Where all entries along a dimension are the same wire, which is the rule for the positions of an
image, the tensor is expanded (its stride is 0) and costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from models.graph.flow import Wires

from models.graph.flow import CONSTANT, ZERO


def spread(wires: Wires, shape: Sequence[int], axis: int) -> Tensor:
    """The wires along one axis, the same everywhere else."""
    lone = [1] * len(shape)
    lone[axis] = -1
    return torch.from_numpy(wires).reshape(lone).expand(tuple(shape))


def condensed(wires: Tensor) -> Tensor:
    """Without repetitions along dimensions where every entry is the same."""
    for dim, size in enumerate(wires.shape):
        if size > 1:
            first = wires.narrow(dim, 0, 1)
            if wires.stride(dim) == 0 or bool((wires == first).all()):
                wires = first
    return wires


def slim(wires: Tensor) -> Tensor:
    """The same entries, expanded where they repeat."""
    return condensed(wires).expand(wires.shape)


def reduced(wires: Tensor, dims: Iterable[int]) -> Tensor | None:
    """The one wire along the dimensions (kept, of size 1), beside zeros; None where there are more.

    Only zeros may stand beside a wire: padding, where the wire's channel is 0 anyway.
    """
    wires = condensed(wires)
    for dim in dims:
        if wires.shape[dim] > 1:
            most = wires.amax(dim, keepdim=True)
            if not bool(((wires == most) | (wires == ZERO)).all()):
                return None
            wires = most
    return wires


def along(wires: Tensor, axis: int) -> Wires | None:
    """The wires along one axis; None where an index has several elsewhere."""
    axis %= wires.dim()
    one = reduced(wires, (dim for dim in range(wires.dim()) if dim != axis))
    if one is None:
        return None
    return one.reshape(-1).expand(wires.shape[axis]).numpy().copy()


def distinct(wires: Tensor) -> Wires:
    """Every wire once, no constants."""
    found = np.unique(condensed(wires).numpy())
    return found[found >= 0]


def constants(shape: Sequence[int], value: int = CONSTANT) -> Tensor:
    """A tensor without any wire."""
    return torch.full((1,) * len(shape), value).expand(tuple(shape))


def is_constant(wires: Tensor) -> bool:
    """Whether there is no wire in it."""
    return bool((condensed(wires) < 0).all())


def varies(wires: Tensor, others: Tensor) -> bool:
    """Whether wires change along a dimension along which the others, broadcast, have one entry."""
    mine, sizes = condensed(wires).shape, others.shape
    aligned = zip(reversed(mine), reversed(sizes), strict=False)
    beyond = any(size > 1 for size in mine[: max(len(mine) - len(sizes), 0)])
    return beyond or any(size > 1 and other == 1 for size, other in aligned)


def renamed(wires: Tensor, rename: Callable[[Wires], Wires]) -> Tensor:
    """Every distinct wire replaced, constants left."""
    small = condensed(wires)
    old, places = np.unique(small.numpy(), return_inverse=True)
    new = old.copy()
    new[old >= 0] = rename(old[old >= 0])
    return torch.from_numpy(new[places.reshape(small.shape)]).expand(wires.shape)


def paired(a: Tensor, b: Tensor, combine: Callable[[Wires, Wires], Wires]) -> Tensor:
    """Every distinct pair of entries at one place replaced by one wire."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    one, other = condensed(a).numpy(), condensed(b).numpy()
    base = int(other.max()) + 3
    keys = (one + 2) * base + other + 2
    pairs, places = np.unique(keys, return_inverse=True)
    combined = combine(pairs // base - 2, pairs % base - 2)
    return torch.from_numpy(combined[places.reshape(keys.shape)]).expand(shape)
