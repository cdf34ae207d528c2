"""Which n of the scores go: exactly n, the lowest or the highest, ties by position.

Sorting 25 million scores to find one threshold does too much. A sample says between which two
scores the threshold lies, with room to spare; one pass counts what lies before them and takes out
the few between; one more writes the result. If the sample misled, the search goes on in the part it
missed: only time is lost, the result is exact whatever the sample.

Values on the CPU are handled as numpy arrays, whose comparisons and counts are several times faster
than torch's; on a device they are tensors. Both know the operators used here, so the
code is the same for both but for what stands at the end of this file.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import reduce
from math import ceil, floor, inf, isnan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foundations.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

Array = Any
"""A numpy array or a tensor, flat."""

CHUNK = 1 << 17
"""Scores handled at once on the CPU: what is computed of them stays in the cache."""

STRIDE = 389
"""One score in so many is sampled: a prime, so that no layer's dimensions are in step with it."""

SPARSE = 1 / 8
"""A layer that keeps less than this has its kept scores taken out first."""

DEVIATIONS = 4.0
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
class _Layer:
    """A layer's scores and which are kept; of a sparse layer, the kept scores alone."""

    scores: Array
    kept: Array
    count: int
    """How many are kept."""
    target: Array
    """Where it is written down in the end what is kept."""
    positions: Array | None
    """Which entries of ``target`` these are, if they are not all."""


@dataclass(frozen=True)
class _Piece:
    """A stretch of a layer's scores; ``kept`` is a view, written to in the end."""

    scores: Array
    kept: Array
    whole: bool

    def count(self, flags: Array) -> int:
        """How many kept scores are flagged."""
        return _count(self.among_kept(flags))

    def among_kept(self, flags: Array) -> Array:
        """The flags of kept scores, the others false."""
        return flags if self.whole else flags & self.kept


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
    after = {name: _copied(kept[name]) for name in sorted(kept)}
    layers = _layers(scores, after)
    available = sum(layer.count for layer in layers)
    if not 0 <= count <= available:
        raise ValueError(f"{count} entries cannot be cut of {available} that are kept.")
    if count == available:
        return {name: torch.zeros_like(tensor) for name, tensor in after.items()}
    if count > 0:
        order = HIGHEST if highest else LOWEST
        pieces = [piece for layer in layers for piece in _pieces(layer)]
        threshold, ties = _threshold(pieces, count, available, order)
        _write(pieces, threshold, ties, order)
        for layer in layers:
            if layer.positions is not None:
                layer.target[layer.positions] = layer.kept
    return after


def _check_shapes(scores: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in scores.items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in kept.items()}:
        raise ValueError("Scores and mask differ in their names or shapes.")


def _layers(scores: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> list[_Layer]:
    """The layers of which something is kept, in order, in one floating type, without NaN."""
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in scores.values()), torch.float32)
    layers = []
    for name, tensor in kept.items():
        if tensor.numel():
            layer = _layer(_flat(scores[name].to(dtype)), _flat(tensor))
            _refuse_nan(name, layer)
            layers.append(layer)
    return layers


def _layer(scores: Array, target: Array) -> _Layer:
    count = _count(target)
    if count >= SPARSE * len(target):
        return _Layer(scores, target, count, target, None)
    positions = _positions(target)
    return _Layer(scores[positions], target[positions], count, target, positions)


def _refuse_nan(name: str, layer: _Layer) -> None:
    # The largest is NaN where any score is: one fast pass, and only a hit is looked at closely.
    if len(layer.scores) and isnan(layer.scores.max()):
        count = _count((layer.scores != layer.scores) & layer.kept)
        if count:
            raise RunFailedError(
                f"{count} of the scores of {name!r} are not numbers (NaN), so nothing can be "
                f"pruned by them. Look for a loss that is not finite, or weights that diverged."
            )


def _pieces(layer: _Layer) -> list[_Piece]:
    """A layer in stretches that fit the cache; on a device, where calls cost most, in one."""
    size = len(layer.scores)
    step = CHUNK if isinstance(layer.scores, np.ndarray) else max(1, size)
    stretches = [slice(at, at + step) for at in range(0, size, step)]
    views = [(layer.scores[stretch], layer.kept[stretch]) for stretch in stretches]
    return [_Piece(scores, kept, whole=layer.count == size) for scores, kept in views]


def _threshold(
    pieces: Sequence[_Piece], count: int, available: int, order: _Order
) -> tuple[float, int]:
    """The score at which cutting ends, and how many of those equal to it are cut."""
    low, high = _bracket(pieces, count / available, order)
    while True:
        edge = low
        if low != high:
            upto, inside = _between(pieces, low, high, order)
            rank = count - upto
            if 0 < rank <= len(inside):
                found = _kth(inside, rank, order.sign)
                return found, rank - _count(order.before(inside, found))
            edge = high if rank > 0 else low
        before, upto = _ranks(pieces, edge, order)
        if before < count <= upto:
            return edge, count - before
        # The sample misled. Now it is known on which side of the edge the threshold lies.
        low, high = (edge, order.sign * inf) if count > upto else (-order.sign * inf, edge)


def _bracket(pieces: Sequence[_Piece], share: float, order: _Order) -> tuple[float, float]:
    """Two scores between which, or at which, the threshold is most likely to lie."""
    sample = _sorted([piece.scores[::STRIDE][piece.kept[::STRIDE]] for piece in pieces], order.sign)
    size = len(sample)
    width = DEVIATIONS * sqrt(size * share * (1 - share)) + DEVIATIONS
    first, last = floor(size * share - width), ceil(size * share + width)
    low = float(sample[first]) if 0 <= first < size else -inf
    high = float(sample[last]) if last < size else inf
    return order.sign * low, order.sign * high


def _between(pieces: Sequence[_Piece], low: float, high: float, order: _Order) -> tuple[int, Array]:
    """How many kept scores come up to ``low``, and those strictly between it and ``high``."""
    upto, inside = 0, []
    for piece in pieces:
        is_upto = piece.among_kept(order.upto(piece.scores, low))
        before_high = piece.among_kept(order.before(piece.scores, high))
        upto += _count(is_upto)
        inside.append(piece.scores[before_high ^ is_upto])
    return upto, _joined(inside)


def _ranks(pieces: Sequence[_Piece], score: float, order: _Order) -> tuple[int, int]:
    """How many kept scores come before this one, and how many up to it."""
    before = upto = 0
    for piece in pieces:
        before += piece.count(order.before(piece.scores, score))
        upto += piece.count(order.upto(piece.scores, score))
    return before, upto


def _write(pieces: Sequence[_Piece], threshold: float, ties: int, order: _Order) -> None:
    """Cut all before the threshold, and the first ``ties`` of those equal to it."""
    for piece in pieces:
        equal = piece.among_kept(piece.scores == threshold) if ties else None
        here = _count(equal) if ties else 0
        if ties and here <= ties:
            piece.kept[:] &= order.after(piece.scores, threshold)
        else:
            piece.kept[:] &= order.since(piece.scores, threshold)
            if ties:
                piece.kept[_positions(equal)[:ties]] = False
        ties -= min(here, ties)


# What numpy and torch spell differently. Torch's own threads are not used on the CPU: on a busy
# machine their waiting for one another costs ten times what there is to do.


def _copied(tensor: Tensor) -> Tensor:
    if tensor.device.type == "cpu":
        return torch.from_numpy(np.array(tensor.numpy(), order="C"))
    return tensor.clone(memory_format=torch.contiguous_format)


def _flat(tensor: Tensor) -> Array:
    flat = tensor.detach().reshape(-1)
    return flat.numpy() if flat.device.type == "cpu" else flat


def _count(flags: Array) -> int:
    return int(np.count_nonzero(flags) if isinstance(flags, np.ndarray) else flags.count_nonzero())


def _positions(flags: Array) -> Array:
    return np.flatnonzero(flags) if isinstance(flags, np.ndarray) else flags.nonzero().squeeze(1)


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else torch.cat(list(parts))


def _sorted(parts: Sequence[Array], sign: float) -> Array:
    values = _joined(parts) * sign
    return np.sort(values) if isinstance(values, np.ndarray) else values.sort().values


def _kth(values: Array, rank: int, sign: float) -> float:
    """The value that is ``rank``-th, counted from 1, in ascending order if ``sign`` is 1."""
    if isinstance(values, np.ndarray):
        # Not np.partition: it takes far longer where most values are equal.
        return sign * float(torch.from_numpy(values * sign).kthvalue(rank).values)
    # On CUDA, kthvalue is not among the deterministic operations; these are few.
    return sign * float((values * sign).sort().values[rank - 1])
