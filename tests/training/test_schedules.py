"""The learning rate at each iteration, against PyTorch's schedulers and OpenLTH's formula."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

from tests.training.examples import recipe
from training.schedules import learning_rate

if TYPE_CHECKING:
    from collections.abc import Callable

PER_EPOCH = 5


def _theirs(make: Callable[[torch.optim.Optimizer], LRScheduler], steps: int) -> list[float]:
    """The learning rates that a scheduler gives to so many updates."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    scheduler = make(optimizer)
    rates = []
    for step in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return rates


def _ours(steps: int, **flags: Any) -> list[float]:
    hparams = recipe(lr=0.4, training_steps=f"{steps}it", **flags).training
    return [learning_rate(hparams, iteration, PER_EPOCH) for iteration in range(steps)]


@pytest.mark.parametrize("steps", [1, 2, 7, 23, 60])
def test_cosine_is_pytorchs(steps: int) -> None:
    """The cosine falls from lr towards 0, which it would reach at the end."""
    expected = _theirs(lambda optimizer: CosineAnnealingLR(optimizer, steps), steps)
    assert _ours(steps, lr_schedule="cosine") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("steps", [2, 3, 7, 23, 60])
@pytest.mark.parametrize("fraction", [0.3, 0.05, 0.9])
def test_one_cycle_is_pytorchs(steps: int, fraction: float) -> None:
    """One cycle rises and falls as OneCycleLR with cosine annealing."""

    def theirs(optimizer: torch.optim.Optimizer) -> LRScheduler:
        return OneCycleLR(
            optimizer,
            max_lr=0.4,
            total_steps=steps,
            pct_start=fraction,
            div_factor=10,
            final_div_factor=100,
            cycle_momentum=False,
        )

    flags = {
        "one_cycle_warmup_fraction": fraction,
        "one_cycle_div_factor": 10,
        "one_cycle_final_div_factor": 100,
    }
    found = _ours(steps, lr_schedule="one_cycle", **flags)
    assert found == pytest.approx(_theirs(theirs, steps), abs=1e-12)


@pytest.mark.parametrize(("steps", "fraction"), [(1, 0.3), (2, 0.5), (4, 0.25), (10, 0.1)])
def test_one_cycle_whose_rise_is_one_step(steps: int, fraction: float) -> None:
    """Where the rise ends at the first update, that has a finite learning rate, at most lr."""
    rates = _ours(steps, lr_schedule="one_cycle", one_cycle_warmup_fraction=fraction)
    assert all(0 < rate <= 0.4 for rate in rates)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("steps", [1, 9, 40])
@pytest.mark.parametrize("milestones", ["", "0it", "1ep,3ep", "7it,2ep1it,7it", "3ep,1ep"])
@pytest.mark.parametrize("warmup", [None, "0it", "1it", "2ep3it"])
def test_milestones_and_warmup_are_openlths(
    steps: int, milestones: str, warmup: str | None
) -> None:
    """The rate is lr gamma^(milestones <= it) min(1, it / warm-up), in every combination."""
    points = {"": [], "0it": [0], "1ep,3ep": [5, 15], "3ep,1ep": [5, 15]}.get(
        milestones, [7, 11, 7]
    )
    ramp = {None: 0, "0it": 0, "1it": 1, "2ep3it": 13}[warmup]
    expected = [
        0.4 * 0.2 ** sum(at <= it for at in points) * (min(1, it / ramp) if ramp else 1)
        for it in range(steps)
    ]
    gamma = {"gamma": 0.2} if milestones else {}
    flags = {} if warmup is None else {"warmup_steps": warmup}
    assert _ours(steps, milestone_steps=milestones, **gamma, **flags) == pytest.approx(expected)


def test_milestones_are_pytorchs() -> None:
    """Without a warm-up, milestones are those of MultiStepLR."""
    expected = _theirs(lambda optimizer: MultiStepLR(optimizer, [5, 15], 0.2), 20)
    found = _ours(20, milestone_steps="1ep,3ep", gamma=0.2)
    assert found == pytest.approx(expected, abs=1e-15)


def test_cosine_after_a_warmup() -> None:
    """The cosine begins where the warm-up has reached lr."""
    rates = _ours(30, lr_schedule="cosine", warmup_steps="2ep")
    assert rates[:11] == pytest.approx([0.04 * it for it in range(11)])
    halfway = 0.4 * (1 + math.cos(math.pi / 2)) / 2
    assert rates[20] == pytest.approx(halfway)
