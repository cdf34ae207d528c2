"""How a network is pruned: score, cut, and again, round by round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from pruning.allocation import Allocation, Global
from pruning.granularity import Granularity, Weights
from pruning.mask import Mask
from pruning.report import SparsityReport, sparsity_report
from pruning.schedule import Geometric, Schedule, count_of
from pruning.select import cut
from pruning.strategies import parse_strategy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from pruning.criteria import Criterion, ScoringData


@dataclass(frozen=True)
class Method:
    """A way of pruning: schedule x allocation x granularity x criterion."""

    criterion: Criterion
    granularity: Granularity = field(default_factory=Weights)
    allocation: Allocation = field(default_factory=Global)
    schedule: Schedule = field(default_factory=Geometric)
    highest: bool = False
    """Cut the highest scores instead of the lowest."""


class PruneReport(TypedDict):
    """What was asked for, and what became of it."""

    strategy: str
    fraction: float
    iterations: int
    highest: bool
    asked: int
    """How many entries were to be cut: the fraction of those kept before, halves up."""
    reached: int
    """How many were."""
    kept: list[int]
    """How many were kept after each iteration."""
    sparsity: SparsityReport


class Pruned(NamedTuple):
    """A mask, and how it came about."""

    mask: Mask
    report: PruneReport


def prune(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    strategy: str,
    fraction: float,
    iterations: int = 1,
    highest: bool = False,
    data: ScoringData | None = None,
    seed: int = 0,
    mask: Mask | None = None,
) -> Pruned:
    """Prune single weights of all layers together by a published strategy.

    Args:
        network: Called functionally; neither its tensors nor its modes are changed.
        weights: All parameters and buffers by name. Scoring runs on their device.
        strategy: ``random``, ``magnitude``, ``snip10``, ``grasp10``, ``graspabs10``, ``synflow``.
        fraction: How much is cut of what ``mask`` keeps.
        iterations: In how many rounds, each cutting the same share of what remains.
        highest: Cut the highest scores instead of the lowest.
        data: Examples; ``random`` and ``magnitude`` do without, ``synflow`` asks for their shape.
        seed: What random draws are keyed by.
        mask: What is kept so far; all prunable weights of the network, if nothing is given.

    Raises:
        UserError: No such strategy, a fraction or number of iterations out of range, or a mask of
            another network.
        RunFailedError: A score is not a number.
    """
    chosen = parse_strategy(strategy)
    start = dense(network, weights) if mask is None else mask
    method = Method(chosen.build(), schedule=Geometric(iterations), highest=highest)
    masks = list(rounds(method, network, weights, start, fraction=fraction, data=data, seed=seed))
    report: PruneReport = {
        "strategy": strategy,
        "fraction": fraction,
        "iterations": iterations,
        "highest": highest,
        "asked": count_of(start.kept, fraction),
        "reached": start.kept - masks[-1].kept,
        "kept": [mask.kept for mask in masks],
        "sparsity": sparsity_report(masks[-1]),
    }
    return Pruned(masks[-1], report)


def rounds(
    method: Method,
    network: nn.Module,
    weights: Mapping[str, Tensor],
    mask: Mask,
    *,
    fraction: float,
    data: ScoringData | None,
    seed: int,
) -> Iterator[Mask]:
    """The mask after each round, each within the one before.

    A round that cuts nothing (rounding, or a fraction of 0) does not score.
    """
    mask = mask.to(next(iter(weights.values())).device)
    data = None if data is None else _Remembered(data)
    kept = method.schedule.kept(method.granularity.units(mask).kept, fraction)
    for position, target in enumerate(kept):
        units = method.granularity.units(mask)
        if target < units.kept:
            masked = mask.apply(weights)
            scores = method.criterion(network, masked, mask, data, (seed, position))
            fewer = _cut(method, method.granularity.scores(scores, mask), units, target)
            mask = method.granularity.mask(fewer, mask)
        yield mask


def dense(network: nn.Module, weights: Mapping[str, Tensor]) -> Mask:
    """The mask that keeps every weight of the network that can be pruned."""
    from models.build import prunable

    return Mask.dense(weights, prunable(network))


def _cut(method: Method, scores: Mapping[str, Tensor], units: Mask, target: int) -> Mask:
    """Of the units, those that are kept when each share of the layers keeps its count."""
    kept: dict[str, Tensor] = {}
    for share in method.allocation.shares(units.layers, target):
        before = sum(units.layers[name].kept for name in share.names)
        kept |= cut(
            {name: scores[name] for name in share.names},
            {name: units[name] for name in share.names},
            before - share.kept,
            highest=method.highest,
        )
    return Mask({**units, **kept})


@dataclass(frozen=True)
class _Remembered:
    """Data that is asked for the same examples in each round, and loads them once."""

    data: ScoringData
    loaded: dict[int, Sequence[tuple[Tensor, Tensor]]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.data.shape

    def per_class(self, n: int) -> Sequence[tuple[Tensor, Tensor]]:
        if n not in self.loaded:
            self.loaded[n] = self.data.per_class(n)
        return self.loaded[n]
