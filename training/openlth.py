"""The description of a run that OpenLTH has trained, and that is kept here to be read."""

from __future__ import annotations

from dataclasses import dataclass

from foundations.hparams import Hparams, step_field
from foundations.steps import Step
from training.description import TrainDesc


@dataclass(frozen=True, kw_only=True)
class OpenLthHparams(Hparams):
    """Which run of OpenLTH it is. Its replicates share this; what each holds, its start tells."""

    experiment: str
    """What it is called there: train_<md5>, or lottery_<md5>/level_0."""

    begin: Step = step_field(Step())
    """The step of its first state."""

    series: str | None = None
    """A word that keeps it apart from a run that is called the same, and was trained elsewhere."""

    def check(self) -> None:
        """Refuse words that say nothing."""
        self.require(bool(self.experiment.strip()), "experiment", "it is the name of a folder")
        self.require(self.series is None or bool(self.series.strip()), "series", "it is a word")


@dataclass(frozen=True, kw_only=True)
class OpenLthDesc(TrainDesc):
    """A run of OpenLTH that began from an initialization."""

    openlth: OpenLthHparams
    """What it is called."""

    @property
    def kind(self) -> str:
        """It is an ``openlth``: never taken for a ``train``."""
        return "openlth"

    @property
    def recipe(self) -> TrainDesc:
        """The network, data and training."""
        return TrainDesc(model=self.model, dataset=self.dataset, training=self.training)

    @property
    def step(self) -> Step:
        """The step of its first state."""
        return self.openlth.begin
