"""From the flags to the description of a training job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from commands.flags import value_of
from datasets.folders import pin
from models.presets import preset
from training.description import TrainDesc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platforms.base import Platform

DEFAULT_PRESET = "digits_lenet"


def preset_description(arguments: Sequence[str]) -> TrainDesc:
    """The description that ``--default_hparams`` names: what the other flags change.

    Raises:
        UserError: There is no such preset; suggests the nearest.
    """
    return TrainDesc.from_flat(preset(value_of("--default_hparams", arguments) or DEFAULT_PRESET))


def pinned(description: TrainDesc, platform: Platform) -> TrainDesc:
    """The same with the checksum of an image folder filled in; it is part of the run's name."""
    dataset = pin(description.dataset, platform.datasets_root(), platform.num_workers)
    return replace(description, dataset=dataset)
