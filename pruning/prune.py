"""How a network is pruned: score, cut, and again, round by round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from foundations.errors import UserError, unknown
from models.gates import gate_tensors
from pruning.allocations import Counting
from pruning.allocations.together import Global
from pruning.choices import ALLOCATIONS, GRANULARITIES, SCHEDULES, SELECTIONS
from pruning.criteria import UnitCriterion
from pruning.cutting import Cutting, Minimum, settled
from pruning.gating import gates_of, with_gates
from pruning.goal import Goal, asked_fraction, goal_at, goal_of
from pruning.granularity import Weights
from pruning.layers import begins
from pruning.mask import Mask
from pruning.remembered import Remembered
from pruning.report import SparsityReport, sparsity_report
from pruning.schedule import Geometric
from pruning.scored import scored_by
from pruning.selection import Exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from pruning.allocations import Allocation
    from pruning.criteria import Criterion, ScoringData
    from pruning.granularity import Granularity
    from pruning.hparams import PruningHparams
    from pruning.schedule import Schedule
    from pruning.selection import Selection
    from pruning.subject import Subject


@dataclass(frozen=True)
class Method:
    """A way of pruning: schedule x allocation x granularity x reduction x criterion."""

    criterion: Criterion | UnitCriterion
    granularity: Granularity = field(default_factory=Weights)
    allocation: Allocation | Counting = field(default_factory=Global)
    schedule: Schedule = field(default_factory=Geometric)
    selection: Selection = field(default_factory=Exact)
    highest: bool = False
    """Cut the highest scores instead of the lowest."""
    ignored: tuple[str, ...] = ()
    """The beginnings of the names of layers that are not pruned."""
    minimum: Minimum = field(default_factory=Minimum)

    def cutting(self, units: Mask) -> Cutting:
        """How units are chosen, from these on.

        Raises:
            UserError: The allocation asks for more than a layer has left.
        """
        allocation = settled(self.allocation, self.minimum.rooms(units))
        return Cutting(allocation, self.selection, self.minimum, self.highest)


class PruneReport(TypedDict):
    """What was asked for, and what became of it."""

    strategy: str
    granularity: str
    """What is counted below."""
    fraction: float | None
    """What was asked for; None where layers or the granularity say how many are left."""
    fraction_of: str
    iterations: int
    highest: bool
    asked: int
    """How many were to be cut."""
    reached: int
    """How many were."""
    total: int
    """How many there are that may be cut, those cut before included."""
    reached_fractions: dict[str, float]
    """What was reached, by each convention: of what remained, of all, and what is kept of all."""
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
    _refuse_all_ignored(before, hparams)
    goal = _goal(method, hparams, before)
    network = _with_gates(subject, {**start, **method.granularity.units(start)})
    masks = list(rounds(method, network, weights, start, goal, data=data, seed=seed))
    kept = [_eligible(method, mask).kept for mask in masks]
    report: PruneReport = {
        "strategy": hparams.strategy,
        "granularity": hparams.granularity,
        "fraction": None if _counted(method, before) is not None else asked_fraction(hparams),
        "fraction_of": hparams.prune_fraction_of,
        "iterations": len(masks),
        "highest": hparams.prune_highest,
        "asked": goal.before - goal.after,
        "reached": before.kept - kept[-1],
        "total": before.total,
        "reached_fractions": _fractions(kept[-1], before),
        "kept": kept,
        "sparsity": sparsity_report(masks[-1]),
    }
    return Pruned(masks[-1], report)


def _refuse_all_ignored(units: Mask, hparams: PruningHparams) -> None:
    """A run that is called pruned and is dense is a mistake nobody would see."""
    if hparams.layers_to_ignore and not units.total:
        ignored = ",".join(hparams.layers_to_ignore)
        raise UserError(
            f"layers_to_ignore={ignored} is every layer that could be pruned: leave one out of it."
        )


def method_of(subject: Subject) -> Method:
    """The choices that the hyperparameters name, made for this network.

    Raises:
        UserError: They do not go together, or do not fit the network.
    """
    hparams = subject.hparams
    for layer in hparams.layers_to_ignore:
        if not any(begins(name, layer) for name in subject.prunable):
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
    cutting = method.cutting(_eligible(method, mask))
    for position, scheduled in enumerate(method.schedule.kept(goal)):
        units = _eligible(method, mask)
        target = method.selection.target(units.kept, units.total, scheduled)
        if target < units.kept:
            everything = method.granularity.units(mask)
            masked = mask.apply(weights) | gate_tensors({**mask, **everything})
            scores = _scores(method, network, masked, mask, data, (seed, position))
            fewer = cutting.cut(scores, units, target)
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
    """The scores of the units, as they are compared."""
    granularity = method.granularity
    scores: Mapping[str, Tensor]
    if isinstance(method.criterion, UnitCriterion):
        scores = method.criterion.units(network, weights, mask, granularity, data, key)
    else:
        scored = Mask({name: mask[name] for name in granularity.scored(mask)})
        single = method.criterion(network, weights, scored, data, key)
        scores = granularity.scores(single, mask)
    return granularity.compared(scores, mask)


def _goal(method: Method, hparams: PruningHparams, units: Mask) -> Goal:
    """Where pruning ends: as granularity or allocation say, or else as the hyperparameters do."""
    after = _counted(method, units)
    if after is None:
        return goal_of(hparams, units.kept, units.total)
    return goal_at(after, units.kept, units.total)


def _counted(method: Method, units: Mask) -> int | None:
    """How many are kept in the end, where the granularity or the allocation itself says it."""
    after = method.granularity.goal(units)
    if after is None and isinstance(method.allocation, Counting):
        return sum(method.allocation.counts(method.minimum.rooms(units)).values())
    return after


def _fractions(kept: int, before: Mask) -> dict[str, float]:
    """What was cut of the units, by each of the conventions."""
    remaining = 1 - kept / before.kept if before.kept else 0.0
    left = kept / before.total if before.total else 1.0
    return {"remaining": remaining, "all": 1 - left, "kept": left}


def _with_gates(subject: Subject, names: Iterable[str]) -> nn.Module:
    """The network, with these gates; only then does it matter what images it takes."""
    if not gates_of(names) or subject.shape is None:
        return subject.network
    return with_gates(subject.network, subject.shape, names)


def _eligible(method: Method, mask: Mask) -> Mask:
    """The units that may be cut: those of layers that are not ignored."""
    units = method.granularity.units(mask)
    kept = {n: units[n] for n in units if not any(begins(n, layer) for layer in method.ignored)}
    return Mask(kept)


def _gates(mask: Mask) -> dict[str, Sequence[int]]:
    """The shapes of the gates of a mask: whether the network has them is seen when it is run."""
    return {name: mask.shapes[name] for name in gates_of(mask)}
