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
        """Refuse a series that is no word."""
        check_series(self, self.series)


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


def check_series(hparams: Hparams, series: str | None) -> None:
    """Refuse a ``series`` that is no word.

    Raises:
        UserError: It is none.
    """
    ok = series is None or series.split() == [series]
    hparams.require(ok, "series", "it is one word, such as second")
