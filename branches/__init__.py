"""Branches: how a new run begins from saved states of others."""

from foundations.registry import Registry

KINDS: Registry[type] = Registry(
    "kind of run",
    {
        "train": "training.description:TrainDesc",
        "oneshot": "branches.oneshot:Oneshot",
    },
)
"""What each kind of run is: training jobs, and the branches. A new branch is one line here."""


def branches() -> tuple[str, ...]:
    """The names of the branches there are."""
    return tuple(kind for kind in KINDS if kind != "train")
