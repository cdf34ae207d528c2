"""Descriptions built in Python: training jobs, branches, lotteries, references to other runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from branches import KINDS, branches
from branches.lineages import lottery as levels_of
from branches.lottery_rewind import LotteryRewind
from datasets.folders import pin
from foundations.description import BranchDesc, Description, RunRef
from foundations.errors import check_known
from foundations.hparams import field_types
from foundations.steps import Step
from models.presets import preset
from platforms.local import Local
from training.description import TrainDesc

if TYPE_CHECKING:
    from branches.base import Branch
    from platforms.base import Platform


def describe(
    preset_name: str = "digits_lenet",
    *,
    platform: Platform | None = None,
    **hyperparameters: Any,  # noqa: ANN401 - as the fields are
) -> TrainDesc:
    """A training job: a preset, with some hyperparameters changed.

    Args:
        preset_name: As ``--default_hparams`` has it.
        platform: Where an image folder is looked for; by default this machine.
        **hyperparameters: By the names of the flags; steps may be text.

    Raises:
        UserError: A name or value is not allowed.
    """
    made = TrainDesc.from_flat(preset(preset_name) | hyperparameters)
    return pinned(made, platform or Local())


def branch(
    parent: Description,
    kind: str,
    *,
    platform: Platform | None = None,
    **hyperparameters: Any,  # noqa: ANN401 - as the fields are
) -> BranchDesc:
    """A branch of a run.

    Args:
        parent: The description of the run that is branched from.
        kind: The name of the branch: ``"oneshot"``.
        platform: As for ``describe``.
        **hyperparameters: By the names of the flags; steps may be text, and another run its
            description.

    Raises:
        UserError: A name or value is not allowed.
    """
    place = platform or Local()
    made = _hparams(kind, hyperparameters).pinned(place.datasets_root(), place.num_workers)
    return BranchDesc(parent=parent, branch=made)


def lottery(
    dense: Description,
    levels: int,
    **hyperparameters: Any,  # noqa: ANN401 - as the fields are
) -> tuple[Description, ...]:
    """The levels of a lottery, the dense run first.

    Args:
        dense: Level 0.
        levels: The number of the last level.
        **hyperparameters: Of ``lottery_rewind``, the branch that each further level is.

    Raises:
        UserError: A name or value is not allowed.
    """
    level = _hparams("lottery_rewind", hyperparameters)
    if not isinstance(level, LotteryRewind):
        raise TypeError("lottery_rewind is no LotteryRewind.")
    return levels_of(dense, level, levels)


def state(
    description: Description, step: Step | str | None = None, replicate: int | None = None
) -> RunRef:
    """Another run, or a state of it, for a field of a branch that takes one.

    Args:
        description: What the run is.
        step: Which state, where no other field of the branch says so: for prune_experiment,
            prune_step does.
        replicate: Which repetition; by default that of the branch.
    """
    return RunRef(description, replicate, Step.parse(step) if isinstance(step, str) else step)


def pinned(description: TrainDesc, platform: Platform) -> TrainDesc:
    """The same with the checksum of an image folder filled in; it is part of the run's name."""
    dataset = pin(description.dataset, platform.datasets_root(), platform.num_workers)
    return replace(description, dataset=dataset)


def _hparams(kind: str, hyperparameters: dict[str, Any]) -> Branch:
    """The hyperparameters of a branch of this kind.

    Raises:
        UserError: A name or value is not allowed.
    """
    check_known("branch", kind, branches())
    made: type[Branch] = KINDS[kind]
    types = field_types(made)
    for name in hyperparameters:
        check_known("hyperparameter", name, types)
    return made(**{name: _ref(value) for name, value in hyperparameters.items()})


def _ref(value: object) -> object:
    """A description as the run that it is, alone or in a list; any other value as it is."""
    if isinstance(value, list | tuple):
        return tuple(map(_ref, value))
    return RunRef(value) if isinstance(value, Description) else value
