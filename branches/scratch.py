"""The ``scratch`` branch: the parent's mask, trained from new weights, for its epochs or FLOPs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from branches.base import (
    Branch,
    begins,
    dense_ancestor,
    recipe_of,
    start_decides_training,
)
from branches.masks import mask_of, masked
from branches.reinit import Reinit, initializer_versions, with_initializer
from foundations.description import BranchDesc, RunRef
from foundations.errors import UserError, check_known
from foundations.hparams import optional_step_field
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from foundations.description import Description
    from foundations.registry import Version
    from pruning.accounting import Counts
    from pruning.mask import Mask
    from training.description import TrainDesc
    from training.hparams import TrainingHparams
    from training.setting import Setting
    from training.start import Start
    from training.state import State

BUDGETS = ("epochs", "flops")


@dataclass(frozen=True, kw_only=True)
class Scratch(Branch):
    """Train the network that the parent was pruned to from a new initialization.

    Scratch-E and scratch-B of "Rethinking the Value of Network Pruning" (Liu et al. 2019): for as
    many epochs as the dense network was trained, or for as many multiply-accumulates. The weights
    are drawn for the inputs that each layer has left.
    """

    kind: ClassVar[str] = "scratch"

    budget: str = "epochs"
    """What is the same as in the dense network's training: epochs (E), or flops (B), which makes
    training, its milestones and its warm-up longer by the multiply-accumulates of the dense network
    over those on live paths of the pruned one."""

    plain: bool = False
    """Draw the weights as for the dense network. Otherwise each layer's are multiplied by the root
    of its weights over those that are left, so that a variance of 2 / n counts in n what is left
    alone."""

    compacted: bool = False
    """Draw each layer as that of the compacted network is drawn, for the inputs and outputs that
    are left on a path from image to output. With --plain it is a slice of the dense network's
    initialization instead."""

    as_dense: bool = False
    """Train by the recipe of the dense run that the parent came from, not by the parent's own,
    which may be that of fine-tuning or of pruning while training."""

    state_step: Step | None = optional_step_field()
    """The state of the parent whose mask it is; by default the one that it ends with."""

    scratch_model_init: str | None = None
    """Another initializer; by default the parent's. That of the paper is kaiming_fan_out."""

    seed: int | None = None
    """The seed of the new weights; by default it follows the replicate."""

    def check(self) -> None:
        """Refuse a budget and an initializer that there are not."""
        check_known("budget", self.budget, BUDGETS)
        initializer_versions(self.scratch_model_init)
        self.require(not (self.plain and self.compacted), "compacted", "--plain is given")
        self.require_seed("seed")

    def versions(self) -> Mapping[str, Version]:
        """The version of the other initializer."""
        return {**super().versions(), **initializer_versions(self.scratch_model_init)}

    @property
    def start_decides_training(self) -> bool:
        """With the budget of FLOPs: how long depends on the mask."""
        return self.budget == "flops"

    def taught_by(self, parent: Description) -> Description:
        """The parent, or the dense run that it came from."""
        return dense_ancestor(parent) if self.as_dense else parent

    def recipe(self, parent: TrainDesc) -> TrainDesc:
        """The parent's, with the other initializer."""
        return with_initializer(parent, self.scratch_model_init)

    def asks(self, parent: Description) -> tuple[RunRef, ...]:
        """The parent's mask.

        Raises:
            UserError: How long the parent was to train says nothing of how long it did.
        """
        counted = start_decides_training(parent) and not _is_scratch(parent)
        if counted and self.budget == "flops" and not self.as_dense:
            raise UserError(
                f"How long {parent.name} trains is known from its start alone: with --as_dense, "
                "the budget is that of the dense run that it came from."
            )
        return (masked(RunRef(parent, step=self.state_step)),)

    def origin(self, parent: Description) -> RunRef:
        """The same draw for the dense network that the parent came from.

        Raises:
            UserError: The draw depends on the mask.
        """
        if not self.plain:
            raise UserError(
                "What scratch draws depends on the mask, unless --plain is given, so another mask "
                "cannot be put on it: make that mask on the run before, and train that from "
                "scratch."
            )
        root = dense_ancestor(parent)
        initializer = self.recipe(recipe_of(parent)).model.model_init
        dense = Reinit(reinit_model_init=initializer, seed=self.seed)
        return RunRef(BranchDesc(parent=root, branch=dense), step=begins(root))

    def start(self, parent: Description, states: Sequence[State], setting: Setting) -> Start:  # noqa: ARG002 - the interface's
        """A new initialization under the mask of ``states[0]``, at the beginning."""
        from foundations.draws import key
        from pruning.accounting import account
        from training.start import Start
        from training.state import State

        mask = mask_of(states[0], self.kind)
        seed = setting.replicate if self.seed is None else self.seed
        state = State(0, self._drawn(mask, setting, key(seed, "reinitialize")), mask)
        if self.budget == "epochs":
            return Start(state)
        counts = account(setting.network(), setting.data.shape, mask)["total"]
        macs = {name: counts[name] for name in ("macs", "macs_effective")}
        training = longer(setting.recipe.training, counts, setting.iterations_per_epoch)
        return Start(state, {"budget": macs}, training=training)

    def _drawn(self, mask: Mask, setting: Setting, seed: int) -> dict[str, Tensor]:
        """New weights."""
        from pruning.fan_in import left_of, scaled_to_survivors

        if self.compacted:
            return setting.initialization(
                seed, left_of(setting.network(), setting.data.shape, mask)
            )
        weights = setting.initialization(seed)
        return weights if self.plain else scaled_to_survivors(weights, mask)


def _is_scratch(description: Description) -> bool:
    return isinstance(description, BranchDesc) and isinstance(description.branch, Scratch)


def longer(training: TrainingHparams, counts: Counts, per_epoch: int) -> TrainingHparams:
    """The training of a pruned network that costs what the dense one's did.

    Args:
        training: The dense network's.
        counts: Its multiply-accumulates, and those that are left of them.
        per_epoch: Iterations an epoch.

    Raises:
        UserError: None are left.
    """
    whole, left = counts["macs"], counts["macs_effective"]
    if not left:
        raise UserError(
            "No path from image to output is left in the parent: there is no number of epochs in "
            "which training it would cost what the dense network's did. Take --budget=epochs."
        )

    def scaled(step: Step) -> Step:
        return Step.at(step.iterations(per_epoch) * whole // left, per_epoch)

    warmup = training.warmup_steps
    return replace(
        training,
        training_steps=scaled(training.training_steps),
        milestone_steps=tuple(map(scaled, training.milestone_steps)),
        warmup_steps=None if warmup is None else scaled(warmup),
    )
