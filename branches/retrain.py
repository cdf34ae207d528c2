"""The ``retrain`` branch: a state of the parent, trained by another recipe or on other data."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from branches.trained_on import TrainedOn
from datasets.folders import pin
from datasets.hparams import DatasetHparams
from foundations.errors import UserError
from foundations.hparams import optional_step_field, step_field
from foundations.steps import Step
from training.hparams import TrainingHparams
from training.overrides import restating

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from foundations.description import Description
    from pruning.mask import Mask
    from training.setting import Setting
    from training.start import Start
    from training.state import State


@dataclass(frozen=True, kw_only=True)
@restating("retrain", TrainingHparams, DatasetHparams)
class Retrain(TrainedOn):
    """Train a state of the parent by other hyperparameters of training, or on other data.

    Its weights and its mask stay, the optimizer is a new one. Where the data has another number of
    classes, the output layer is a new initialization, of which everything is kept.
    """

    kind: ClassVar[str] = "retrain"

    state_step: Step | None = optional_step_field()
    """Which state of the parent is trained; by default its end."""

    start_step: Step = step_field(Step())
    """Where the learning-rate schedule and the order of the data begin."""

    def pinned(self, data_root: Path, workers: int = 0) -> Self:
        """The same with the checksum of its image folder filled in: it is part of its name.

        Raises:
            UserError: A folder without a data set; or it is not built as it should be.
        """
        given = self.given()
        if "folder" not in given or "folder_digest" in given:
            return self
        if "dataset_name" not in given:
            raise UserError("--retrain_folder needs --retrain_dataset_name=folder beside it.")
        names = {field.name for field in fields(DatasetHparams)}
        asked = {name: value for name, value in given.items() if name in names}
        made = pin(DatasetHparams(**{"batch_size": 1} | asked), data_root, workers)
        found: dict[str, Any] = {
            "retrain_folder": made.folder,
            "retrain_folder_digest": made.folder_digest,
        }
        return replace(self, **found)

    def begins(self, parent: Description) -> Step:  # noqa: ARG002 - the interface's
        """At ``start_step``."""
        return self.start_step

    def check_fit(self, states: Sequence[State], setting: Setting) -> None:
        """Refuse data whose images do not fit the network; classes may be others."""
        from models.build import output_names

        network = setting.network()
        own, new = _shapes(network.state_dict()), output_names(network)
        other = _shapes(states[0].weights)
        for name in sorted((own.keys() | other.keys()) - new):
            if own.get(name) != other.get(name):
                raise UserError(
                    f"The images of {setting.data.name} ({_text(setting.data.shape)}) do not fit "
                    f"the network: {name} has the shape {_text(other.get(name))}, and for them it "
                    f"would have {_text(own.get(name))}. Only the output layer is replaced."
                )

    def start(self, parent: Description, states: Sequence[State], setting: Setting) -> Start:  # noqa: ARG002 - the interface's
        """The weights and mask of ``states[0]``, with an output layer for these classes."""
        from training.start import Start
        from training.state import State

        new = _new_output(states[0].weights, setting)
        weights = {**states[0].weights, **new}
        begin = self.start_step.iterations(setting.iterations_per_epoch)
        state = State(begin, weights, _opened(states[0].mask, new))
        return Start(state, {"new": sorted(new)})


def _new_output(weights: Mapping[str, Tensor], setting: Setting) -> dict[str, Tensor]:
    """The parameters of the output layer, newly drawn; none where those there are fit."""
    from foundations.draws import key
    from models.build import output_names

    names = sorted(output_names(setting.network()))
    drawn = setting.initialization(key(setting.initialization_seed, "output layer"))
    new = {name: drawn[name] for name in names}
    fits = _shapes(new).items() <= _shapes(weights).items()
    return {} if fits else new


def _opened(mask: Mask | None, new: Mapping[str, Tensor]) -> Mask | None:
    """The mask with everything kept of what is new."""
    from pruning.mask import Mask

    if mask is None or not new:
        return mask
    return Mask({**mask, **Mask.dense(new, [name for name in new if name in mask])})


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _text(shape: Sequence[int] | None) -> str:
    return "none" if shape is None else "x".join(map(str, shape))
