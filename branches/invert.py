"""The ``invert`` branch: what the parent's pruning would have kept last, kept first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from branches.base import Branch, branch_of
from branches.pruning import PruningBranch
from foundations.description import BranchDesc
from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.description import Description, RunRef
    from foundations.steps import Step
    from training.course import Course
    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
class Invert(Branch):
    """Do again what the parent did, but cut the other end of the scores.

    The inversion of Frankle et al. (2021): if the scores mean anything, keeping the worst is worse
    than keeping any. The parent must be a run that pruned, such as a oneshot.
    """

    kind: ClassVar[str] = "invert"
    prunes: ClassVar[bool] = True

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """What the parent asked for."""
        inverted = _inverted(parent)
        return branch_of(inverted).asks(inverted.parent)

    def begins(self, parent: Description) -> Step:
        """Where the parent did."""
        inverted = _inverted(parent)
        return branch_of(inverted).begins(inverted.parent)

    def origin(self, parent: Description) -> RunRef:
        """The same as the parent's."""
        inverted = _inverted(parent)
        return branch_of(inverted).origin(inverted.parent)

    def masked(self, parent: Description) -> Step | None:
        """Where the parent has its own."""
        inverted = _inverted(parent)
        return branch_of(inverted).masked(inverted.parent)

    def companions(self, parent: Description) -> tuple[RunRef, ...]:
        """Those of the parent."""
        inverted = _inverted(parent)
        return branch_of(inverted).companions(inverted.parent)

    def course(
        self,
        parent: Description,
        start: State,
        companions: Sequence[State],
        setting: Setting,
    ) -> Course | None:
        """That of the parent with ``prune_highest`` turned round."""
        inverted = _inverted(parent)
        return branch_of(inverted).course(inverted.parent, start, companions, setting)

    def start(
        self,
        parent: Description,
        states: Sequence[State],
        setting: Setting,
    ) -> Start:
        """The start of the parent with ``prune_highest`` turned round."""
        inverted = _inverted(parent)
        return branch_of(inverted).start(inverted.parent, states, setting)


def _inverted(parent: Description) -> BranchDesc:
    """The parent, cutting the other end of the scores.

    Raises:
        UserError: It did not prune.
    """
    if not isinstance(parent, BranchDesc) or not isinstance(parent.branch, PruningBranch):
        raise UserError(
            f"invert prunes again what its parent has pruned, and {parent.name} did not prune by "
            "scores: name a run that did, such as a oneshot or a lottery_rewind."
        )
    highest = not parent.branch.prune_highest
    return replace(parent, branch=replace(parent.branch, prune_highest=highest))
