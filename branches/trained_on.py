"""What branches have in common that train a state of the parent on, by a recipe of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branches.base import Branch, dense_at
from foundations.description import Description, RunRef
from training.overrides import Restating

if TYPE_CHECKING:
    from foundations.steps import Step
    from training.description import TrainDesc


@dataclass(frozen=True, kw_only=True)
class TrainedOn(Restating, Branch):
    """A subclass has the field ``state_step``: None is the parent's end."""

    def recipe(self, parent: TrainDesc) -> TrainDesc:
        """The parent's, with what is stated anew."""
        return self.restated(parent)

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The state that is trained on."""
        return (self.trained(parent),)

    def origin(self, parent: Description) -> RunRef:
        """The dense state that stands for the one that is trained on."""
        return dense_at(self.trained(parent))

    def trained(self, parent: Description) -> RunRef:
        """The state that is trained on."""
        step: Step | None = vars(self)["state_step"]
        return RunRef(parent, step=step)
