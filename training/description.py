"""The description of a training job: a network, its data and its training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

from datasets.hparams import DatasetHparams
from foundations.description import Description, RunRef
from foundations.errors import check_known
from foundations.hparams import Hparams, field_types
from models.hparams import ModelHparams
from training.hparams import TrainingHparams

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class TrainDesc(Description):
    """Train a network from its initialization.

    It is also the recipe by which a branch trains on: its parent's, unless it says otherwise.
    """

    model: ModelHparams
    """The network and its initialization."""

    dataset: DatasetHparams
    """The data."""

    training: TrainingHparams
    """The training."""

    @property
    def kind(self) -> str:
        """A training job is a ``train``."""
        return "train"

    def runs(self) -> tuple[RunRef, ...]:
        """A training job needs no other run."""
        return ()

    @property
    def recipe(self) -> TrainDesc:
        """The network, data and training alone, wherever the first weights come from."""
        return self

    @classmethod
    def from_flat(cls, values: Mapping[str, object]) -> Self:
        """The description with these flags: ``{"model_name": ..., "lr": .1, ...}``.

        Steps may be given as text.

        Raises:
            UserError: A flag is unknown, or a value is not allowed.
        """
        parts = cast("dict[str, type[Hparams]]", field_types(cls))
        known = {name for part in parts.values() for name in field_types(part)}
        for name in values:
            check_known("hyperparameter", name, known)
        return cls(**{name: cast("Any", _part(part, values)) for name, part in parts.items()})

    def replaced(self, **values: object) -> Self:
        """This description with other values of some flags."""
        parts = (getattr(self, field.name) for field in dataclasses.fields(self))
        flat = {name: value for part in parts for name, value in vars(part).items()}
        return self.from_flat(flat | values)


def _part(part: type[Hparams], values: Mapping[str, object]) -> Hparams:
    names = [field.name for field in dataclasses.fields(part)]
    return part(**{name: values[name] for name in names if name in values})
