"""The learning rate at each iteration."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

from training import SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.hparams import TrainingHparams

    Schedule = Callable[[TrainingHparams, int, int], float]
    """From hyperparameters, iteration and iterations per epoch to a learning rate."""


def learning_rate(hparams: TrainingHparams, iteration: int, iterations_per_epoch: int) -> float:
    """The learning rate of the update that follows so many iterations."""
    return SCHEDULES[hparams.lr_schedule](hparams, iteration, iterations_per_epoch)


def milestones(hparams: TrainingHparams, iteration: int, iterations_per_epoch: int) -> float:
    """OpenLTH's: ``lr * gamma^(milestones passed) * min(1, it / warmup)``."""
    steps = sorted(step.iterations(iterations_per_epoch) for step in hparams.milestone_steps)
    factor = (hparams.gamma or 1.0) ** bisect_right(steps, iteration)
    warmup = _warmup(hparams, iterations_per_epoch)
    return hparams.lr * _growth(iteration, warmup) * factor


def cosine(hparams: TrainingHparams, iteration: int, iterations_per_epoch: int) -> float:
    """After the warm-up, half a cosine from ``lr`` to 0 (Loshchilov & Hutter 2017, eq. 5)."""
    total = hparams.training_steps.iterations(iterations_per_epoch)
    warmup = _warmup(hparams, iterations_per_epoch)
    progress = max(0, iteration - warmup) / max(1, total - warmup)
    return _growth(iteration, warmup) * _fall(hparams.lr, 0.0, min(1.0, progress))


def one_cycle(hparams: TrainingHparams, iteration: int, iterations_per_epoch: int) -> float:
    """Smith & Topin 2018 in two cosine phases, as ``torch.optim.lr_scheduler.OneCycleLR``."""
    total = hparams.training_steps.iterations(iterations_per_epoch)
    first = hparams.lr / hparams.one_cycle_div_factor
    last = first / hparams.one_cycle_final_div_factor
    peak = hparams.one_cycle_warmup_fraction * total - 1
    if iteration <= peak:
        return _fall(first, hparams.lr, iteration / peak if peak else 1.0)
    return _fall(hparams.lr, last, min(1.0, (iteration - peak) / (total - 1 - peak)))


def _warmup(hparams: TrainingHparams, iterations_per_epoch: int) -> int:
    steps = hparams.warmup_steps
    return 0 if steps is None else steps.iterations(iterations_per_epoch)


def _growth(iteration: int, warmup: int) -> float:
    return min(1.0, iteration / warmup) if warmup else 1.0


def _fall(begin: float, end: float, fraction: float) -> float:
    """Half a cosine from ``begin`` to ``end``."""
    return end + (begin - end) * (1 + math.cos(math.pi * fraction)) / 2
