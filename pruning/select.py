"""Which n of the scores go: exactly n, the lowest or the highest, ties by position.

Sorting 25 million scores to find one threshold does too much. A sample says between which two
scores the threshold lies, with room to spare. One pass then keeps what lies after the first of
them, and remembers the few between, which are settled when the threshold among them is known. If
the sample misled, the search goes on in the part it missed: only time is lost, the result is exact
whatever the sample.

Values on the CPU are handled as numpy arrays, whose comparisons and counts are several times faster
than torch's; on a device they are tensors. Both know the operators used here, so the
code is the same for both but for what stands at the end of this file.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import reduce
from math import ceil, floor, inf, isnan, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from foundations.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

Array = Any
"""A numpy array or a tensor, flat."""

CHUNK = 1 << 17
"""Scores handled at once on the CPU: what is computed of them stays in the cache."""

STRIDES = (3, 7, 17, 37, 67, 127, 211, 389)
"""One score in so many is sampled, about the cube root of how many there are: then as many scores
are left between the two. Primes, so that no layer's dimensions are in step with them."""

SPARSE = 1 / 8
"""Of layers that keep less than this the kept scores are taken out first."""

DEVIATIONS = 3.0
"""Half the width of the bracket, in standard deviations of a sample's rank."""


@dataclass(frozen=True)
class _Order:
    """Which end of the scores goes first."""

    before: Callable[[Array, float], Array]
    upto: Callable[[Array, float], Array]
    after: Callable[[Array, float], Array]
    since: Callable[[Array, float], Array]
    sign: float


LOWEST = _Order(operator.lt, operator.le, operator.gt, operator.ge, 1.0)
HIGHEST = _Order(operator.gt, operator.ge, operator.lt, operator.le, -1.0)


@dataclass(frozen=True)
class _Group:
    """A layer, or small layers one after another; of sparse ones, the kept entries alone."""

    shapes: Mapping[str, torch.Size]
    scores: Array
    kept: Array
    count: int
    """How many are kept."""
    target: Array
    """Where it is written down what stays."""
    positions: Array | None
    """Which entries of the layers these are, if they are not all."""


@dataclass(frozen=True)
class _Piece:
    """A stretch of a group, as views; ``target`` is written to."""

    group: _Group
    scores: Array
    kept: Array
    target: Array

    def among_kept(self, flags: Array) -> Array:
        """The flags of kept scores, the others false."""
        return flags if self.group.count == len(self.group.kept) else flags & self.kept

    def check(self) -> None:
        """Refuse scores that are not numbers."""
        # The largest is NaN where any score is: one fast pass; only a hit is looked at closely.
        if isnan(self.scores.max()):
            _refuse_nan(self.group)


def cut(
    scores: Mapping[str, Tensor], kept: Mapping[str, Tensor], count: int, *, highest: bool = False
) -> dict[str, Tensor]:
    """What is kept after ``count`` more entries are cut, those with the lowest scores.

    Of equal scores, those first in position go first: by sorted name, then by flat index. Infinite
    scores are as good as any. What is cut already may have any score, NaN too.

    Args:
        scores: The scores of each layer, of any floating type.
        kept: Boolean tensors of the same names and shapes; only their true entries can be cut.
        count: How many to cut, from 0 to all that are kept.
        highest: Cut the highest scores instead.

    Raises:
        ValueError: Names or shapes of the scores are not those of ``kept``, or ``count`` is more
            than is kept, or negative.
        RunFailedError: The score of a kept entry is not a number; names the layer.
    """
    _check_shapes(scores, kept)
    groups = _groups(scores, kept)
    pieces = [piece for group in groups for piece in _pieces(group)]
    available = sum(group.count for group in groups)
    if not 0 <= count <= available:
        raise ValueError(f"{count} entries cannot be cut of {available} that are kept.")
    if count in {0, available}:
        for piece in pieces:
            piece.check()
        return {n: torch.zeros_like(keep) if count else _copied(keep) for n, keep in kept.items()}
    _write(pieces, available, count, HIGHEST if highest else LOWEST)
    return {name: tensor for group in groups for name, tensor in _results(group)}


def _check_shapes(scores: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in scores.items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in kept.items()}:
        raise ValueError("Scores and mask differ in their names or shapes.")


def _groups(scores: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> list[_Group]:
    """The layers in order, in one floating type; small ones together, as each call costs."""
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in scores.values()), torch.float32)
    names: list[list[str]] = []
    size = 0
    for name in sorted(kept):
        size += kept[name].numel()
        if not names or size > CHUNK:
            names.append([])
            size = kept[name].numel()
        names[-1].append(name)
    return [_group([(name, scores[name].to(dtype), kept[name]) for name in some]) for some in names]


def _group(layers: Sequence[tuple[str, Tensor, Tensor]]) -> _Group:
    shapes = {name: keep.shape for name, _, keep in layers}
    scores = _joined([_flat(values) for _, values, _ in layers])
    kept = _joined([_flat(keep) for _, _, keep in layers])
    count, positions = _count(kept), None
    if count < SPARSE * len(kept):
        positions = _positions(kept)
        scores, kept = scores[positions], kept[positions]
    return _Group(shapes, scores, kept, count, _zeros(kept, len(kept)), positions)


def _pieces(group: _Group) -> list[_Piece]:
    """A group in stretches that fit the cache; on a device, where calls cost most, in one."""
    size = len(group.scores)
    step = CHUNK if isinstance(group.scores, np.ndarray) else max(1, size)
    parts = (group.scores, group.kept, group.target)
    stretches = [slice(at, at + step) for at in range(0, size, step)]
    return [_Piece(group, *(part[at] for part in parts)) for at in stretches]


def _refuse_nan(group: _Group) -> None:
    missing = _positions((group.scores != group.scores) & group.kept)
    places = missing if group.positions is None else group.positions[missing]
    for name, at in _stretches(group):
        count = _count((places >= at.start) & (places < at.stop))
        if count:
            raise RunFailedError(
                f"{count} of the scores of {name!r} are not numbers (NaN), so nothing can be "
                f"pruned by them. Look for a loss that is not finite, or weights that diverged."
            )


def _stretches(group: _Group) -> Iterator[tuple[str, slice]]:
    """Where each layer of a group begins and ends."""
    start = 0
    for name, shape in group.shapes.items():
        yield name, slice(start, start + shape.numel())
        start += shape.numel()


def _results(group: _Group) -> Iterator[tuple[str, Tensor]]:
    """What stays of each layer, in tensors that share no memory."""
    flat = group.target
    if group.positions is not None:
        flat = _zeros(flat, sum(shape.numel() for shape in group.shapes.values()))
        flat[group.positions] = group.target
    for name, at in _stretches(group):
        tensor = _tensor(flat[at]).reshape(group.shapes[name])
        yield name, tensor if len(group.shapes) == 1 else tensor.clone()


def _write(pieces: Sequence[_Piece], available: int, count: int, order: _Order) -> None:
    """Write down what stays when ``count`` are cut of what is ``available``, neither none nor all.

    Whatever goes through the scores first finds any that are not numbers.
    """
    low, high = _bracket(_sample(pieces), count / available, order)
    while True:
        edge = low
        if low != high:
            between = [_between(piece, low, high, order) for piece in pieces]
            rank = count - (available - sum(found.after for found in between))
            values = _joined([found.values for found in between])
            if 0 < rank <= len(values):
                _settle(pieces, between, values, rank, order)
                return
            edge = high if rank > 0 else low
        equal = [_equal(piece, edge, order) for piece in pieces]
        ties = count - (available - sum(found.after + found.equal for found in equal))
        if 0 < ties <= sum(found.equal for found in equal):
            _cut_first(pieces, equal, ties)
            return
        # The sample misled. Now it is known on which side of the edge the threshold lies.
        low, high = (edge, order.sign * inf) if ties > 0 else (-order.sign * inf, edge)


def _sample(pieces: Sequence[_Piece]) -> Array:
    """Some of the kept scores."""
    total = sum(len(piece.scores) for piece in pieces)
    stride = next((stride for stride in STRIDES if stride**3 >= total), STRIDES[-1])
    return _joined([piece.scores[::stride][piece.kept[::stride]] for piece in pieces])


def _bracket(sample: Array, share: float, order: _Order) -> tuple[float, float]:
    """Two scores between which, or at which, the threshold is most likely to lie."""
    size = len(sample)
    width = DEVIATIONS * sqrt(size * share * (1 - share)) + DEVIATIONS
    first, last = floor(size * share - width), ceil(size * share + width)
    low = _kth(sample, first + 1, order.sign) if 0 <= first < size else -order.sign * inf
    high = _kth(sample, last + 1, order.sign) if last < size else order.sign * inf
    return low, high


class _Between(NamedTuple):
    """What of a piece lies between two scores."""

    after: int
    """How many lie after the first."""
    positions: Array
    values: Array


def _between(piece: _Piece, low: float, high: float, order: _Order) -> _Between:
    """What lies between; of the piece stays, for now, all after ``low``."""
    piece.check()
    after = piece.among_kept(order.after(piece.scores, low))
    piece.target[:] = after
    positions = _positions(after & order.before(piece.scores, high))
    return _Between(_count(after), positions, piece.scores[positions])


def _settle(
    pieces: Sequence[_Piece], between: Sequence[_Between], values: Array, rank: int, order: _Order
) -> None:
    """Of what lies between, cut the first ``rank``."""
    threshold = _kth(values, rank, order.sign)
    ties = rank - _count(order.before(values, threshold))
    for piece, found in zip(pieces, between, strict=True):
        stays = order.since(found.values, threshold)
        equal = _positions(found.values == threshold)[:ties]
        stays[equal] = False
        piece.target[found.positions] = stays
        ties -= len(equal)


class _Equal(NamedTuple):
    """What of a piece equals a score."""

    after: int
    """How many lie after it."""
    equal: int
    flags: Array


def _equal(piece: _Piece, edge: float, order: _Order) -> _Equal:
    """What equals the edge; of the piece stays, for now, all after it."""
    piece.check()
    after = piece.among_kept(order.after(piece.scores, edge))
    piece.target[:] = after
    flags = piece.among_kept(piece.scores == edge)
    return _Equal(_count(after), _count(flags), flags)


def _cut_first(pieces: Sequence[_Piece], equal: Sequence[_Equal], ties: int) -> None:
    """Of equal scores, cut the first; the others stay."""
    for piece, found in zip(pieces, equal, strict=True):
        if found.equal > ties:
            piece.target[:] |= found.flags
            piece.target[_positions(found.flags)[:ties]] = False
        ties -= min(ties, found.equal)


# What numpy and torch spell differently. Torch's own threads are not used on the CPU: on a busy
# machine their waiting for one another costs ten times what there is to do.


def _copied(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


def _flat(tensor: Tensor) -> Array:
    flat = tensor.detach().reshape(-1)
    return flat.numpy() if flat.device.type == "cpu" else flat


def _tensor(flags: Array) -> Tensor:
    return torch.from_numpy(flags) if isinstance(flags, np.ndarray) else flags


def _zeros(like: Array, size: int) -> Array:
    """All false."""
    return np.zeros(size, bool) if isinstance(like, np.ndarray) else like.new_zeros(size)


def _count(flags: Array) -> int:
    return int(np.count_nonzero(flags) if isinstance(flags, np.ndarray) else flags.count_nonzero())


def _positions(flags: Array) -> Array:
    return np.flatnonzero(flags) if isinstance(flags, np.ndarray) else flags.nonzero().squeeze(1)


def _joined(parts: Sequence[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else torch.cat(list(parts))


def _kth(values: Array, rank: int, sign: float) -> float:
    """The value that is ``rank``-th, counted from 1, in ascending order if ``sign`` is 1."""
    rank = rank if sign > 0 else len(values) + 1 - rank
    if isinstance(values, np.ndarray):
        # Not np.partition: it takes far longer where most values are equal.
        return float(torch.from_numpy(values).kthvalue(rank).values)
    # On CUDA, kthvalue is not among the deterministic operations; these are few.
    return float(values.sort().values[rank - 1])
