"""What branches do that take a parent's mask and give it other weights, or other places."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from branches.base import begins, branch_of, pruning_of
from foundations.description import BranchDesc, RunRef
from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from branches.base import Branch
    from foundations.description import Description
    from foundations.hparams import Json
    from pruning.granularity import Granularity
    from pruning.mask import Mask
    from training.setting import Setting
    from training.start import Start
    from training.state import State


def mask_state(description: Description) -> RunRef:
    """The first state in which a run has the mask that it ends with."""
    return masked(RunRef(description))


def masked(run: RunRef) -> RunRef:
    """The first state of the run with the mask that it ends with, unless the step is given."""
    description = run.description
    if run.step is not None or not isinstance(description, BranchDesc):
        return first(run)
    return replace(run, step=branch_of(description).masked(description.parent))


def first(run: RunRef) -> RunRef:
    """The first state of the run, unless the step is given."""
    return run if run.step is not None else replace(run, step=begins(run.description))


def refuse_the_same_draw(branch: Branch, parent: Description) -> None:
    """Refuse a branch that would draw what its parent, one of the same kind, has drawn.

    Raises:
        UserError: Both have the same seed.
    """
    before = parent.branch if isinstance(parent, BranchDesc) else None
    if before is None or before.kind != branch.kind:
        return
    if vars(before)["seed"] == vars(branch)["seed"]:
        raise UserError(
            f"{branch.kind} of a {branch.kind} with the same seed repeats its draw. "
            "Give it another one: --seed."
        )


def mask_of(state: State, kind: str, whose: str = "its parent") -> Mask:
    """The mask of a parent, or of another run.

    Raises:
        UserError: It is not pruned.
    """
    if state.mask is None:
        raise UserError(
            f"{kind} takes the mask of {whose}, which is not pruned: name a run that is ('ls' "
            "lists them), or prune first, with oneshot or lottery_rewind."
        )
    return state.mask


def granularity_of(description: Description, setting: Setting) -> Granularity:
    """What was kept or cut as one when a run, or the nearest that it grew on, was pruned."""
    from pruning.choices import GRANULARITIES
    from pruning.hparams import PruningHparams
    from pruning.subject import Subject

    hparams = pruning_of(description) or PruningHparams()
    subject = Subject(setting.network(), hparams, setting.data.shape)
    return GRANULARITIES[hparams.granularity].of(subject)


def first_state(
    iteration: int, weights: Mapping[str, Tensor], mask: Mask | None, facts: dict[str, Json]
) -> Start:
    """The start of a branch: weights, a mask, and where the schedule begins."""
    from training.start import Start
    from training.state import State

    return Start(State(iteration, dict(weights), mask), facts)
