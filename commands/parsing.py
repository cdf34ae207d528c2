"""From the flags to the description of a training job."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from branches import KINDS
from commands.flags import value_of
from foundations.description import RunRef
from foundations.errors import unknown
from foundations.store import Store
from models.presets import preset
from platforms import PLATFORMS
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
    return TrainDesc.from_flat(preset(preset_name(arguments)))


def preset_name(arguments: Sequence[str]) -> str:
    """What ``--default_hparams`` names, or the preset without one."""
    return value_of("--default_hparams", arguments) or DEFAULT_PRESET


def named(store: Store, text: str) -> RunRef:
    """The run of this name; of one replicate only where the text says which.

    A run that is named without one stands for all its replicates: each replicate of a branch
    goes with the same replicate of it.
    """
    prefix, _, folder = text.strip("/").partition("/")
    if folder:
        run = store.find(text)
        return RunRef(run.description(KINDS), run.replicate)
    runs = {run.name: run for run in store.runs() if prefix and run.name.startswith(prefix)}
    if not runs and get_close_matches(text, ["train", "lottery"], cutoff=0.7):
        raise unknown("run", text, ["train", "lottery"])
    one = next(iter(runs.values())) if len(runs) == 1 else runs.get(prefix)
    return RunRef((one or store.find(text)).description(KINDS))


def store_of(arguments: Sequence[str]) -> Store:
    """The runs below the root that the flags name, before they are parsed."""
    platform = platform_flags(arguments)
    return Store(platform(root=value_of("--root", arguments)).results_root())


def platform_flags(arguments: Sequence[str]) -> type[Platform]:
    """The platform that ``--platform`` names, whose flags the command takes.

    Raises:
        UserError: There is none of this name; suggests the nearest.
    """
    return PLATFORMS[value_of("--platform", arguments) or "local"]
