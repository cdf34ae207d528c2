"""Lineages: chains of descriptions, each the parent of the next, that an experiment consists of."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from branches.base import recipe_of
from branches.oneshot import Oneshot
from branches.pruning import PruningBranch
from branches.retrain import Retrain
from foundations.description import BranchDesc
from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from branches.finetune import Finetune
    from branches.lottery_rewind import LotteryRewind
    from foundations.description import Description
    from pruning.hparams import PruningHparams
    from training.description import TrainDesc

_PARTS = 10**12


def pretrained(pretraining: Description, recipe: TrainDesc) -> Description:
    """Level 0 of a lottery that begins from the end of another training.

    Args:
        pretraining: The run whose last weights it begins from.
        recipe: How level 0 trains, and on what.
    """
    before = recipe_of(pretraining)
    changed = {
        name: value
        for part in ("dataset", "training")
        for name, value in vars(getattr(recipe, part)).items()
        if value != getattr(getattr(before, part), name)
    }
    given = {f"retrain_{name}": value for name, value in changed.items() if value is not None}
    absent = tuple(sorted(name for name, value in changed.items() if value is None))
    settings: dict[str, Any] = {**given, "retrain_without": absent}
    return BranchDesc(parent=pretraining, branch=Retrain(**settings))


def lottery(dense: Description, level: LotteryRewind, levels: int) -> tuple[Description, ...]:
    """The levels of a lottery, level 0 first: the dense run, then one branch a level.

    Args:
        dense: Level 0.
        level: What is done to the end of each level; its fraction is of what is left.
        levels: The number of the last level.

    Raises:
        UserError: The number is negative, or the fraction one of all.
    """
    _check_rounds(level, levels)
    if levels < 0:
        raise UserError(f"levels={levels} is not allowed: 0 or more.")
    if level.prune_fraction_of != "remaining":
        raise UserError(
            "Each level of a lottery cuts a fraction of what remains, so a fraction of "
            f"{level.prune_fraction_of} would cut nothing after the first. 'iterative' reaches it."
        )
    return tuple(_chain(dense, [level] * levels))


def iterative(dense: Description, last: LotteryRewind, rounds: int) -> tuple[Description, ...]:
    """The rounds of iterative pruning, the dense run first.

    Args:
        dense: What is pruned after its training.
        last: What the last round reaches, and by which schedule; what is rewound.
        rounds: In how many; an explicit schedule has its own number.
    """
    branches = [
        replace(last, **_one_round(fraction)) for fraction in cumulative_fractions(last, rounds)
    ]
    return tuple(_chain(dense, branches))


def iterative_finetuned(
    dense: Description, last: PruningBranch, rounds: int, tuning: Finetune
) -> tuple[Description, ...]:
    """The rounds of pruning and fine-tuning, the dense run first.

    Each round is two runs: what was trained with a part cut off, not trained on (its accuracy is
    that right after pruning), and the same fine-tuned.

    Args:
        dense: What is pruned after its training.
        last: How it is pruned: what the last round reaches, and by which schedule.
        rounds: In how many; an explicit schedule has its own number.
        tuning: How what is left is trained after each cut.
    """
    shared = {field.name: getattr(last, field.name) for field in dataclasses.fields(PruningBranch)}
    fractions = cumulative_fractions(last, rounds)
    return cut_and_finetuned(
        dense, [shared | _one_round(fraction) for fraction in fractions], tuning
    )


def cut_and_finetuned(
    dense: Description, cuts: Iterable[Mapping[str, Any]], tuning: Finetune
) -> tuple[Description, ...]:
    """Cuts and fine-tuning in turns, the dense run first.

    Args:
        dense: What is pruned after its training.
        cuts: The hyperparameters of pruning, for each cut.
        tuning: How what is left is trained after each.
    """
    made = [dense]
    for settings in cuts:
        made.append(cut_after_training(made[-1], **settings))
        made.append(BranchDesc(parent=made[-1], branch=tuning))
    return tuple(made)


def cut_after_training(run: Description, **pruning: Any) -> BranchDesc:  # noqa: ANN401 - as the fields are
    """The end of a run with a part cut off, which trains no more.

    Args:
        run: What is pruned.
        **pruning: How: hyperparameters of pruning.
    """
    end = recipe_of(run).training.training_steps
    cut = Oneshot(**pruning, prune_step=end, state_step=end, start_step=end)
    return BranchDesc(parent=run, branch=cut)


def _check_rounds(hparams: PruningHparams, rounds: int) -> None:
    """Refuse a second round where the first has cut all that there is to cut."""
    if hparams.granularity == "n_m" and rounds > 1:
        raise UserError(
            f"granularity=n_m keeps {hparams.n_m[0]} of {hparams.n_m[1]} after one round, and "
            f"there is nothing to cut in another: {rounds} are too many."
        )


def _one_round(fraction: float) -> dict[str, Any]:
    """Pruning to a fraction of all, at once."""
    return {
        "prune_fraction": fraction,
        "prune_fraction_of": "all",
        "prune_iterations": 1,
        "schedule": "geometric",
        "prune_fractions": (),
    }


def cumulative_fractions(hparams: PruningHparams, rounds: int) -> list[float]:
    """The fraction of all that is cut after each round: of a geometric schedule, 1 - f^(k/R).

    The parts of a schedule are whole numbers; these are in millionths of a millionth.
    """
    from pruning.choices import SCHEDULES
    from pruning.goal import goal_of
    from pruning.subject import Subject

    _check_rounds(hparams, rounds)
    network: Any = None  # a schedule looks at the hyperparameters alone
    own = bool(hparams.prune_fractions)
    subject = Subject(network, hparams if own else replace(hparams, prune_iterations=rounds))
    goal = goal_of(hparams, _PARTS, _PARTS)
    kept = SCHEDULES[hparams.schedule].of(subject).kept(goal)
    return [(_PARTS - parts) / _PARTS for parts in kept]


def _chain(dense: Description, branches: Sequence[LotteryRewind]) -> Iterator[Description]:
    made = dense
    yield made
    for branch in branches:
        made = BranchDesc(parent=made, branch=branch)
        yield made
