"""The runs of OpenLTH that began from others of its runs: levels of a lottery, and branches.

They were trained elsewhere and are kept here to be read, and to grow branches on. Nothing here can
begin or continue them: what was saved of them is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NoReturn

from branches.base import Branch, dense_ancestor, lineage, pruning_of
from datasets.hparams import DatasetHparams
from foundations.description import BranchDesc, RunRef
from foundations.errors import UserError
from foundations.hparams import optional_step_field, step_field
from foundations.steps import Step
from pruning.hparams import PruningHparams
from training.hparams import TrainingHparams
from training.openlth import OpenLthDesc, OpenLthHparams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.description import Description
    from training.description import TrainDesc
    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
class OpenLthBranch(Branch):
    """A run that OpenLTH trained from a state of another one, without pruning it."""

    kind: ClassVar[str] = "openlth_branch"

    experiment: str
    """What it is called there: lottery_<md5>/level_1. Its replicates share that."""

    begin: Step = step_field(Step())
    """The step of its first state."""

    dataset: DatasetHparams | None = None
    """Its data; by default its parent's."""

    training: TrainingHparams | None = None
    """Its training; by default its parent's."""

    def recipe(self, parent: TrainDesc) -> TrainDesc:
        """The parent's, with its own data and training where it has some."""
        dataset, training = self.dataset or parent.dataset, self.training or parent.training
        return replace(parent, dataset=dataset, training=training)

    def asks(self, parent: Description) -> tuple[RunRef, ...]:  # noqa: ARG002 - the interface's
        """Nothing: it has begun, elsewhere."""
        return ()

    def begins(self, parent: Description) -> Step:  # noqa: ARG002 - the interface's
        """At its first state."""
        return self.begin

    def start(
        self,
        parent: Description,  # noqa: ARG002 - the interface's
        states: Sequence[State],  # noqa: ARG002 - the interface's
        setting: Setting,  # noqa: ARG002 - the interface's
    ) -> Start:
        """It cannot be begun here."""
        raise UserError(f"{self.kind} was trained by OpenLTH, and is not begun here.")


@dataclass(frozen=True, kw_only=True)
class OpenLthPruned(OpenLthBranch):
    """A run that OpenLTH trained under a mask: a level of a lottery, or a pruned branch."""

    kind: ClassVar[str] = "openlth_pruned"
    prunes: ClassVar[bool] = True

    origin_step: Step | None = optional_step_field()
    """The step of the dense run at which its first weights, as far as they are kept, are that
    run's; none where they are not."""

    prune_fraction: float | None = None
    """The fraction that was cut of what remained, where that is known."""

    layers_to_ignore: tuple[str, ...] = ()
    """Layers that were not pruned."""

    def origin(self, parent: Description) -> RunRef:
        """That state of the dense run.

        Raises:
            UserError: Its weights are of no such state.
        """
        if self.origin_step is None:
            raise UserError(
                f"{self.experiment} of OpenLTH began from weights that are no saved "
                "state of its dense run, so that another mask cannot be put on them."
            )
        return RunRef(dense_ancestor(parent), step=self.origin_step)

    def pruning(self, parent: Description) -> PruningHparams:
        """By magnitude, or as its parent's mask was made where nothing else is known."""
        if self.prune_fraction is None:
            return pruning_of(parent) or PruningHparams()
        return PruningHparams(
            prune_fraction=self.prune_fraction, layers_to_ignore=self.layers_to_ignore
        )


def called_there(description: Description) -> str | None:
    """What a run that OpenLTH trained is called there, and its series; None for any other run."""
    own, first = of_openlth(description), lineage(description)[0]
    if own is None or not isinstance(first, OpenLthDesc):
        return None
    series = first.openlth.series
    return own.experiment if series is None else f"{own.experiment} of {series}"


def of_openlth(description: Description) -> OpenLthHparams | OpenLthBranch | None:
    """What says which run of OpenLTH it is; None for any other run."""
    if isinstance(description, OpenLthDesc):
        return description.openlth
    branch = description.branch if isinstance(description, BranchDesc) else None
    return branch if isinstance(branch, OpenLthBranch) else None


def refuse_to_train(description: Description, replicate: int, saved: Sequence[Step]) -> NoReturn:
    """Say that a run of OpenLTH has no other states than it has.

    Raises:
        UserError: Always.
    """
    if not saved:
        raise UserError(
            f"{description.name} was trained by OpenLTH, and its replicate {replicate} is not "
            "here: 'ls' lists which is (--replicate)."
        )
    raise UserError(
        f"{description.name} was trained by OpenLTH, and cannot be trained on or again here. Its "
        f"states are those that were saved there: {', '.join(map(str, saved))}. A branch can be "
        "told to take one of them, such as by --prune_step, --state_step or --rewinding_steps."
    )
