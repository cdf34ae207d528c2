"""The description of a run that OpenLTH has trained, and that is kept here to be read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundations.hparams import Hparams, not_hashed, step_field
from foundations.steps import Step
from training.description import TrainDesc

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class OpenLthHparams(Hparams):
    """What was found of such a run. OpenLTH cannot train it again: what it is, is its content."""

    content: str
    """The checksum of its states, its mask and its measurements."""

    begin: Step = step_field(Step())
    """The step of its first state."""

    experiment: str | None = not_hashed(None)
    """What it is called there: lottery_<md5>/level_0."""

    path: str | None = not_hashed(None)
    """Where it lay when it was imported. That is not part of what it is."""

    def check(self) -> None:
        """Refuse what is no checksum."""
        check_content(self)


@dataclass(frozen=True, kw_only=True)
class OpenLthDesc(TrainDesc):
    """A run of OpenLTH that began from an initialization."""

    openlth: OpenLthHparams
    """What was found."""

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


def check_content(hparams: Hparams) -> None:
    """Refuse a ``content`` that is no checksum.

    Raises:
        UserError: It is none.
    """
    ok = _DIGEST.fullmatch(vars(hparams)["content"]) is not None
    hparams.require(ok, "content", "it is a sha256, 64 hex digits")
