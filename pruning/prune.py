"""How a network is pruned: score, cut, and again, round by round."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

from pruning.begun import begun
from pruning.goal import asked_fraction
from pruning.report import SparsityReport, sparsity_report
from pruning.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from pruning.criteria import ScoringData
    from pruning.mask import Mask
    from pruning.subject import Subject


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
    hparams = subject.hparams
    method, network, start, before, goal, counted = begun(subject, weights, mask)
    masks = list(rounds(method, network, weights, start, goal, data=data, seed=seed))
    kept = [method.eligible(mask).kept for mask in masks]
    report: PruneReport = {
        "strategy": hparams.strategy,
        "granularity": hparams.granularity,
        "fraction": None if counted else asked_fraction(hparams),
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


def _fractions(kept: int, before: Mask) -> dict[str, float]:
    """What was cut of the units, by each of the conventions."""
    remaining = 1 - kept / before.kept if before.kept else 0.0
    left = kept / before.total if before.total else 1.0
    return {"remaining": remaining, "all": 1 - left, "kept": left}
