"""How a network is pruned: score, cut, and again, round by round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from foundations.errors import UserError, unknown
from pruning.allocation import Global
from pruning.choices import ALLOCATIONS, GRANULARITIES, SCHEDULES, SELECTIONS
from pruning.criteria import UnitCriterion
from pruning.granularity import Weights
from pruning.mask import Mask
from pruning.remembered import Remembered
from pruning.report import SparsityReport, sparsity_report
from pruning.schedule import Geometric, goal_of
from pruning.scored import scored_by
from pruning.selection import Exact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from pruning.allocation import Allocation
    from pruning.criteria import Criterion, ScoringData
    from pruning.granularity import Granularity
    from pruning.schedule import Goal, Schedule
    from pruning.selection import Selection
    from pruning.subject import Subject


@dataclass(frozen=True)
class Minimum:
    """What every layer keeps at least; more than a layer has kept so far, it cannot."""

    count: int = 0
    fraction: float = 0.0

    def of(self, total: int) -> int:
        """How many of ``total`` a layer keeps at least."""
        return max(self.count, -int(-self.fraction * total // 1))


@dataclass(frozen=True)
class Method:
    """A way of pruning: schedule x allocation x granularity x reduction x criterion."""

    criterion: Criterion | UnitCriterion
    granularity: Granularity = field(default_factory=Weights)
    allocation: Allocation = field(default_factory=Global)
    schedule: Schedule = field(default_factory=Geometric)
    selection: Selection = field(default_factory=Exact)
    highest: bool = False
    """Cut the highest scores instead of the lowest."""
    ignored: tuple[str, ...] = ()
    """The beginnings of the names of layers that are not pruned."""
    minimum: Minimum = field(default_factory=Minimum)


class PruneReport(TypedDict):
    """What was asked for, and what became of it."""

    strategy: str
    granularity: str
    """What is counted below."""
    fraction: float
    fraction_of: str
    iterations: int
    highest: bool
    asked: int
    """How many were to be cut."""
    reached: int
    """How many were."""
    total: int
    """How many there are that may be cut, those cut before included."""
    kept: list[int]
    """How many were kept after each round."""
    sparsity: SparsityReport


class Pruned(NamedTuple):
    """A mask, and how it came about."""

    mask: Mask
    report: PruneReport


def prune(
    subject: Subject,
    weights: Mapping[str, Tensor],
    *,
    data: ScoringData | None = None,
    seed: int = 0,
    mask: Mask | None = None,
) -> Pruned:
    """Prune a network as the subject's hyperparameters say.

    Args:
        subject: The network, called functionally, and how to prune it.
        weights: All parameters and buffers by name. Scoring runs on their device.
        data: Examples; ``random`` and ``magnitude`` do without, ``synflow`` asks for their shape.
        seed: What random draws are keyed by.
        mask: What is kept so far; all prunable weights of the network, if nothing is given.

    Raises:
        UserError: The choices do not go together or ask for what cannot be, or the mask is another
            network's.
        RunFailedError: A score is not a number.
    """
    method, hparams = method_of(subject), subject.hparams
    start = Mask.dense(weights, subject.prunable) if mask is None else mask
    start.check({name: tuple(weight.shape) for name, weight in weights.items()} | _gates(start))
    start = start.to(next(iter(weights.values())).device)
    before = _eligible(method, start)
    goal = goal_of(hparams, before.kept, before.total)
    masks = list(rounds(method, subject.network, weights, start, goal, data=data, seed=seed))
    kept = [_eligible(method, mask).kept for mask in masks]
    report: PruneReport = {
        "strategy": hparams.strategy,
        "granularity": hparams.granularity,
        "fraction": hparams.prune_fraction,
        "fraction_of": hparams.prune_fraction_of,
        "iterations": len(masks),
        "highest": hparams.prune_highest,
        "asked": goal.before - goal.after,
        "reached": before.kept - kept[-1],
        "total": before.total,
        "kept": kept,
        "sparsity": sparsity_report(masks[-1]),
    }
    return Pruned(masks[-1], report)


def method_of(subject: Subject) -> Method:
    """The choices that the hyperparameters name, made for this network.

    Raises:
        UserError: They do not go together, or do not fit the network.
    """
    hparams = subject.hparams
    for layer in hparams.layers_to_ignore:
        if not any(_begins(name, layer) for name in subject.prunable):
            raise unknown("layer to ignore", layer, subject.prunable)
    return Method(
        criterion=scored_by(subject),
        granularity=GRANULARITIES[hparams.granularity].of(subject),
        allocation=ALLOCATIONS[hparams.allocation].of(subject),
        schedule=SCHEDULES[hparams.schedule].of(subject),
        selection=SELECTIONS[hparams.selection].of(subject),
        highest=hparams.prune_highest,
        ignored=hparams.layers_to_ignore,
        minimum=Minimum(hparams.minimum_kept, hparams.minimum_fraction),
    )


def rounds(
    method: Method,
    network: nn.Module,
    weights: Mapping[str, Tensor],
    mask: Mask,
    goal: Goal,
    *,
    data: ScoringData | None,
    seed: int,
) -> Iterator[Mask]:
    """The mask after each round, each within the one before.

    A round that cuts nothing (rounding, or a fraction of 0) does not score.
    """
    data = None if data is None else Remembered(data)
    for position, target in enumerate(method.schedule.kept(goal)):
        units = _eligible(method, mask)
        if target < units.kept:
            masked = mask.apply(weights)
            scores = _scores(method, network, masked, mask, data, (seed, position))
            fewer = _cut(method, scores, units, target)
            everything = method.granularity.units(mask)
            mask = method.granularity.mask(Mask({**everything, **fewer}), mask)
        yield mask


def _scores(
    method: Method,
    network: nn.Module,
    weights: Mapping[str, Tensor],
    mask: Mask,
    data: ScoringData | None,
    key: tuple[int, int],
) -> Mapping[str, Tensor]:
    """The scores of the units."""
    if isinstance(method.criterion, UnitCriterion):
        return method.criterion.units(network, weights, mask, method.granularity, data, key)
    scored = Mask({name: mask[name] for name in method.granularity.scored(mask)})
    scores = method.criterion(network, weights, scored, data, key)
    return method.granularity.scores(scores, mask)


def _eligible(method: Method, mask: Mask) -> Mask:
    """The units that may be cut: those of layers that are not ignored."""
    units = method.granularity.units(mask)
    kept = {n: units[n] for n in units if not any(_begins(n, layer) for layer in method.ignored)}
    return Mask(kept)


def _begins(name: str, layer: str) -> bool:
    """Whether a weight is of this layer: its name, or a part of it from the beginning."""
    return name == layer or name.startswith(f"{layer.rstrip('.')}.")


def _cut(method: Method, scores: Mapping[str, Tensor], units: Mask, target: int) -> Mask:
    """Of the units, those that are kept when each share of the layers keeps its count."""
    kept: dict[str, Tensor] = {}
    for share in method.allocation.shares(units.layers, target):
        chosen = {name: units[name] for name in share.names}
        floor = _floor(method, {name: scores[name] for name in share.names}, chosen, share.kept)
        open_ = {name: chosen[name] & ~floor[name] for name in floor} if floor else chosen
        count = sum(int(tensor.sum()) for tensor in chosen.values()) - share.kept
        fewer = method.selection.cut(
            {name: scores[name] for name in share.names}, open_, count, highest=method.highest
        )
        kept |= {name: fewer[name] | floor[name] for name in fewer} if floor else fewer
    return Mask({**units, **kept})


def _floor(
    method: Method, scores: Mapping[str, Tensor], units: Mapping[str, Tensor], kept: int
) -> dict[str, Tensor]:
    """The best of each layer, which it keeps whatever the others have; empty without a minimum.

    Raises:
        UserError: The minima of the layers are more than are to be kept in all.
    """
    if method.minimum == Minimum():
        return {}
    best: dict[str, Tensor] = {}
    for name, tensor in units.items():
        here = int(tensor.sum())
        least = min(method.minimum.of(tensor.numel()), here)
        one = {name: scores[name]}
        best |= method.selection.cut(one, {name: tensor}, here - least, highest=method.highest)
    if (least := sum(int(tensor.sum()) for tensor in best.values())) > kept:
        raise UserError(
            f"The layers keep at least {least:,} between them (minimum_kept, minimum_fraction), "
            f"and {kept:,} are to be kept in all. Lower the minimum, or cut less."
        )
    return best


def _gates(mask: Mask) -> dict[str, Sequence[int]]:
    """The shapes of the gates of a mask: whether the network has them is seen when it is run."""
    return {name: shape for name, shape in mask.shapes.items() if name.startswith("gate:")}
