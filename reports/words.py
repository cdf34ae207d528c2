"""A run in a few words: what it is, and its hyperparameters as the flags are given."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import recipe_of
from foundations.description import BranchDesc, RunRef
from foundations.fields import show
from foundations.plugins import AbsentPluginError

if TYPE_CHECKING:
    from foundations.description import Description
    from foundations.run_directory import RunDirectory


def said(run: RunDirectory) -> str:
    """A run in a few words: its network, what the branch did, or which plugin it needs."""
    try:
        return in_words(run.description(KINDS))
    except AbsentPluginError as error:
        return error.advice


def in_words(description: Description) -> str:
    """The network and data of a training job; of a branch, what differs from its defaults."""
    from branches.openlth import called_there
    from training.description import TrainDesc
    from training.imported import ImportDesc

    if (called := called_there(description)) is not None:
        recipe = recipe_of(description)
        where = f"{recipe.model.model_name} on {recipe.dataset.dataset_name}"
        return f"{where}, OpenLTH's {called}"
    if isinstance(description, BranchDesc):
        branch, chosen = description.branch, description.branch.canonical()
        names = [field.name for field in dataclasses.fields(branch) if field.name in chosen]
        said = " ".join(f"{n}={written(getattr(branch, n))}" for n in names) or "defaults"
        return f"{said}, from {description.parent.name}"
    if isinstance(description, TrainDesc):
        when = str(description.training.training_steps)
        if isinstance(description, ImportDesc):
            when = f"imported at {description.step}"
        return f"{description.model.model_name} on {description.dataset.dataset_name}, {when}"
    return description.kind


def written(value: object) -> str:
    """A value of a flag, as the flag is given; other runs by their names."""
    if isinstance(value, RunRef):
        replicate = "" if value.replicate is None else f"/replicate_{value.replicate}"
        return value.description.name + replicate
    if isinstance(value, tuple) and any(isinstance(item, RunRef) for item in value):
        return ",".join(map(written, value))
    return value if isinstance(value, str) else show(value)
