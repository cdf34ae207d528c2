"""The ``reinit`` branch: the parent's mask on a new initialization."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from branches.base import Branch, begins, dense_ancestor, recipe_of
from branches.masks import first_state, mask_state, refuse_the_same_draw
from foundations.description import BranchDesc, RunRef
from foundations.errors import UserError
from foundations.hparams import optional_step_field
from foundations.steps import Step
from models.initializers import INITIALIZERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foundations.description import Description
    from foundations.registry import Version
    from training.description import TrainDesc
    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
class Reinit(Branch):
    """Draw new weights under the parent's mask, and train as the parent was trained.

    A parent that is dense is drawn anew as a whole.
    """

    kind: ClassVar[str] = "reinit"

    reinit_model_init: str | None = None
    """Another initializer for the new weights; by default that of the parent."""

    scaled: bool = False
    """Draw each layer for the fan-in that its mask has left: the weights of an initializer, which
    are drawn for the whole fan-in, are multiplied by the root of whole over left."""

    start_step: Step | None = optional_step_field()
    """Where the learning-rate schedule begins; by default where the parent's did."""

    seed: int | None = None
    """The seed of the new weights; by default it follows the replicate."""

    def check(self) -> None:
        """Refuse an initializer that there is not."""
        initializer_versions(self.reinit_model_init)
        self.require_seed("seed")

    def versions(self) -> Mapping[str, Version]:
        """The version of the other initializer."""
        return {**super().versions(), **initializer_versions(self.reinit_model_init)}

    def recipe(self, parent: TrainDesc) -> TrainDesc:
        """The parent's, with the other initializer."""
        return with_initializer(parent, self.reinit_model_init)

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The parent's mask."""
        refuse_the_same_draw(self, parent)
        return (mask_state(parent),)

    def begins(self, parent: Description) -> Step:
        """At ``start_step``, or where the parent did; imported weights did not begin late here."""
        if self.start_step is not None:
            return self.start_step
        return begins(parent) if isinstance(parent, BranchDesc) else Step()

    def origin(self, parent: Description) -> RunRef:
        """The same draw for the dense network that the parent came from.

        Raises:
            UserError: The draw depends on the mask.
        """
        if self.scaled:
            raise UserError(
                "What reinit --scaled draws depends on the mask, so another mask cannot be put on "
                "it: make that mask on the run before (shuffle, layer_matched), and reinit that."
            )
        initializer = self.recipe(recipe_of(parent)).model.model_init
        draw = replace(self, reinit_model_init=initializer, start_step=None)
        dense = BranchDesc(parent=dense_ancestor(parent), branch=draw)
        return RunRef(dense, step=begins(dense))

    def start(
        self,
        parent: Description,
        states: Sequence[State],
        setting: Setting,
    ) -> Start:
        """A new initialization under the mask of ``states[0]``."""
        from foundations.draws import key
        from pruning.fan_in import scaled_to_survivors

        mask = states[0].mask
        seed = setting.replicate if self.seed is None else self.seed
        weights = setting.initialization(key(seed, "reinitialize"))
        if self.scaled and mask is not None:
            weights = scaled_to_survivors(weights, mask)
        begin = self.begins(parent).iterations(setting.iterations_per_epoch)
        return first_state(begin, weights, mask, {"scaled": self.scaled})


def initializer_versions(name: str | None) -> dict[str, Version]:
    """The version of an initializer; nothing where none is named.

    Raises:
        UserError: There is no such initializer.
    """
    return {} if name is None else {f"model_init:{name}": INITIALIZERS.version(name)}


def with_initializer(recipe: TrainDesc, name: str | None) -> TrainDesc:
    """The recipe with another initializer; a width that only the one before took goes with it."""
    if name is None or name == recipe.model.model_init:
        return recipe
    return recipe.replaced(model_init=name, init_width=None)
