"""The optimizers, against PyTorch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.training.examples import recipe
from training import OPTIMIZERS
from training.optimizers import clipped, fresh_slots

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from training.hparams import TrainingHparams

STEPS = 12
SHAPES = ((3, 4), (4,), (2, 3, 1, 1))
MADE: dict[str, tuple[dict[str, Any], Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "plain": ({}, torch.optim.SGD, {}),
    "momentum": ({"momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (
        {"nesterov_momentum": 0.8},
        torch.optim.SGD,
        {"momentum": 0.8, "nesterov": True},
    ),
    "sgd with decay": (
        {"momentum": 0.9, "weight_decay": 0.1},
        torch.optim.SGD,
        {"momentum": 0.9, "weight_decay": 0.1},
    ),
    "nesterov with decay": (
        {"nesterov_momentum": 0.9, "weight_decay": 0.1},
        torch.optim.SGD,
        {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
    ),
    "adam": ({"optimizer_name": "adam"}, torch.optim.Adam, {}),
    "adam with all": (
        {
            "optimizer_name": "adam",
            "weight_decay": 0.1,
            "adam_beta1": 0.7,
            "adam_beta2": 0.9,
            "adam_epsilon": 1e-3,
        },
        torch.optim.Adam,
        {"weight_decay": 0.1, "betas": (0.7, 0.9), "eps": 1e-3},
    ),
    "adam without memory": (
        {"optimizer_name": "adam", "adam_beta1": 0.0, "adam_beta2": 0.0},
        torch.optim.Adam,
        {"betas": (0.0, 0.0)},
    ),
    "adamw": (
        {"optimizer_name": "adamw", "weight_decay": 0.3},
        torch.optim.AdamW,
        {"weight_decay": 0.3},
    ),
}


def _drawn(seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    draw = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES)
    return {f"w{index}": value.to(dtype) for index, value in enumerate(draw)}


def _ours(hparams: TrainingHparams, dtype: torch.dtype, *, number: bool) -> dict[str, Tensor]:
    parameters = _drawn(0, dtype)
    slots = fresh_slots(hparams, parameters)
    for step in range(STEPS):
        rate = 0.1 / (1 + step)
        lr = rate if number else torch.tensor(rate, dtype=dtype)
        gradients = list(_drawn(step + 1, dtype).values())
        OPTIMIZERS[hparams.optimizer_name].update(
            list(parameters.values()), gradients, slots, lr, hparams
        )
    return parameters


def _theirs(kind: Callable[..., torch.optim.Optimizer], flags: dict[str, Any]) -> dict[str, Tensor]:
    parameters = _drawn(0, torch.float64)
    optimizer = kind(parameters.values(), lr=0.1, **flags)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + step)
        for parameter, gradient in zip(
            parameters.values(), _drawn(step + 1, torch.float64).values(), strict=True
        ):
            parameter.grad = gradient
        optimizer.step()
    return parameters


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)], ids=["64", "32"]
)
@pytest.mark.parametrize("number", [True, False], ids=["number", "tensor"])
def test_updates_are_pytorchs(
    name: str,
    dtype: torch.dtype,
    tolerance: float,
    number: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """After twelve steps at falling learning rates of either form, parameters are torch.optim's."""
    flags, kind, theirs = MADE[name]
    expected = _theirs(kind, theirs)
    found = _ours(recipe(**flags).training, dtype, number=number)
    for key, value in expected.items():
        torch.testing.assert_close(
            found[key].double(), value, atol=tolerance, rtol=tolerance, msg=f"{name} {key}"
        )


def test_gradients_are_left_as_they_are() -> None:
    """No update writes to a gradient, which autograd may have given to two parameters."""
    for name in OPTIMIZERS:
        decay = recipe(optimizer_name=name, weight_decay=0.1).training
        parameters, gradients = _drawn(0, torch.float64), _drawn(1, torch.float64)
        before = {key: value.clone() for key, value in gradients.items()}
        slots = fresh_slots(decay, parameters)
        lr = torch.tensor(0.1, dtype=torch.float64)
        OPTIMIZERS[name].update(
            list(parameters.values()), list(gradients.values()), slots, lr, decay
        )
        assert all(torch.equal(gradients[key], before[key]) for key in before)


@pytest.mark.parametrize("largest", [1e-3, 1.0, 1e3])
def test_clipping_is_pytorchs(largest: float) -> None:
    """Gradients are scaled as clip_grad_norm_ scales them: over all, and only where too long."""
    parameters = _drawn(0, torch.float64)
    gradients = _drawn(1, torch.float64)
    for key, value in parameters.items():
        value.grad = gradients[key].clone()
    torch.nn.utils.clip_grad_norm_(list(parameters.values()), largest)
    for found, parameter in zip(
        clipped(list(gradients.values()), largest), parameters.values(), strict=True
    ):
        torch.testing.assert_close(found, parameter.grad, atol=1e-12, rtol=1e-12)
