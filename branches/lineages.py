"""Lineages: chains of descriptions, each the parent of the next, that an experiment consists of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from foundations.description import BranchDesc
from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from branches.lottery_rewind import LotteryRewind
    from foundations.description import Description
    from pruning.hparams import PruningHparams

_PARTS = 10**12


def lottery(dense: Description, level: LotteryRewind, levels: int) -> tuple[Description, ...]:
    """The levels of a lottery, level 0 first: the dense run, then one branch a level.

    Args:
        dense: Level 0.
        level: What is done to the end of each level; its fraction is of what is left.
        levels: The number of the last level.

    Raises:
        UserError: The number is negative.
    """
    if levels < 0:
        raise UserError(f"levels={levels} is not allowed: 0 or more.")
    return tuple(_chain(dense, [level] * levels))


def iterative(dense: Description, last: LotteryRewind, rounds: int) -> tuple[Description, ...]:
    """The rounds of iterative pruning, the dense run first.

    Args:
        dense: What is pruned after its training.
        last: What the last round reaches, and by which schedule; what is rewound.
        rounds: In how many; an explicit schedule has its own number.
    """
    branches = [
        replace(
            last,
            prune_fraction=fraction,
            prune_fraction_of="all",
            prune_iterations=1,
            schedule="geometric",
            prune_fractions=(),
        )
        for fraction in cumulative_fractions(last, rounds)
    ]
    return tuple(_chain(dense, branches))


def cumulative_fractions(hparams: PruningHparams, rounds: int) -> list[float]:
    """The fraction of all that is cut after each round: of a geometric schedule, 1 - f^(k/R).

    The parts of a schedule are whole numbers; these are in millionths of a millionth.
    """
    from pruning.choices import SCHEDULES
    from pruning.goal import goal_of
    from pruning.subject import Subject

    network: Any = None  # a schedule looks at the hyperparameters alone
    subject = Subject(network, replace(hparams, prune_iterations=rounds))
    goal = goal_of(hparams, _PARTS, _PARTS)
    kept = SCHEDULES[hparams.schedule].of(subject).kept(goal)
    return [(_PARTS - parts) / _PARTS for parts in kept]


def _chain(dense: Description, branches: Sequence[LotteryRewind]) -> Iterator[Description]:
    made = dense
    yield made
    for branch in branches:
        made = BranchDesc(parent=made, branch=branch)
        yield made
