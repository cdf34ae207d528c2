"""The engine, its optimizers, schedules, numerics, metrics and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundations.registry import Registry

if TYPE_CHECKING:
    from training.optimizers import Optimizer
    from training.schedules import Schedule

OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    {
        "sgd": "training.optimizers:SGD",
        "adam": "training.optimizers:ADAM",
        "adamw": "training.optimizers:ADAMW",
    },
)
"""What ``--optimizer_name`` can be."""

SCHEDULES: Registry[Schedule] = Registry(
    "learning-rate schedule",
    {
        "milestones": "training.schedules:milestones",
        "cosine": "training.schedules:cosine",
        "one_cycle": "training.schedules:one_cycle",
    },
)
"""What ``--lr_schedule`` can be."""
