"""The description of a run whose weights come from elsewhere: from a file that is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from foundations.hparams import Hparams, not_hashed, optional_step_field
from foundations.steps import Step
from training.description import TrainDesc

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class WeightsHparams(Hparams):
    """Which weights are imported, and to which step of training they belong."""

    content: str
    """The checksum of the weights: the sha256 of their names, types, shapes and values in float32,
    as ``foundations.tensors.digest`` has it."""

    import_step: Step | None = optional_step_field()
    """The step of training that the weights are at; training goes on from there. By default its
    end."""

    path: str | None = not_hashed(None)
    """The file of the weights. Where it lies is not part of what the run is."""

    rename: tuple[str, ...] = not_hashed(())
    """How the names in the file are changed to those of the network: beginnings, old=new."""

    def check(self) -> None:
        """Refuse what is no checksum, and renamings that are not written as such."""
        ok = _DIGEST.fullmatch(self.content) is not None
        self.require(ok, "content", "it is a sha256, 64 hex digits")
        ok = all(text.count("=") == 1 for text in self.rename)
        self.require(ok, "rename", "write old=new, several with commas between")


@dataclass(frozen=True, kw_only=True)
class ImportDesc(TrainDesc):
    """Weights from elsewhere, and the recipe by which they, and branches of them, train on."""

    weights: WeightsHparams
    """The weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights.import_step == self.training.training_steps:  # one meaning, one name
            object.__setattr__(self, "weights", replace(self.weights, import_step=None))

    @property
    def kind(self) -> str:
        """It is an ``import``."""
        return "import"

    @property
    def recipe(self) -> TrainDesc:
        """The network, data and training."""
        return TrainDesc(model=self.model, dataset=self.dataset, training=self.training)

    @property
    def step(self) -> Step:
        """The step that the weights are at."""
        step = self.weights.import_step
        return self.training.training_steps if step is None else step
