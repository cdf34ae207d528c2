"""What branches do that take a parent's mask and give it other weights, or other places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches.base import begins
from foundations.description import RunRef
from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from foundations.description import Description
    from foundations.hparams import Json
    from pruning.mask import Mask
    from training.start import Start
    from training.state import State


def mask_state(description: Description) -> RunRef:
    """The state in which a run has its mask: the first."""
    return RunRef(description, step=begins(description))


def mask_of(state: State, kind: str) -> Mask:
    """The mask of a parent.

    Raises:
        UserError: It is not pruned.
    """
    if state.mask is None:
        raise UserError(
            f"{kind} takes the mask of its parent, and the parent is not pruned: name a run that "
            "is ('ls' lists them), or prune first, with oneshot or lottery_rewind."
        )
    return state.mask


def first_state(
    iteration: int, weights: Mapping[str, Tensor], mask: Mask, facts: dict[str, Json]
) -> Start:
    """The start of a branch: weights, a mask, and where the schedule begins."""
    from training.start import Start
    from training.state import State

    return Start(State(iteration, dict(weights), mask), facts)
