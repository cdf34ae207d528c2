"""Updates of the parameters, as functions of parameters, gradients, slots and learning rate.

They change parameters and slots in place, leave gradients as they are (autograd may return one
tensor for two parameters) and keep no state of their own, so one definition runs eagerly, compiled,
or captured. A slot holds one tensor for each parameter (momentum, a moment); a parameter that is
zero, has no gradient and whose slots are zero stays exactly zero, which is why the step masks
gradients alone.
"""

# ruff: noqa: SLF001 - the foreach operators are PyTorch's documented fast path, underscore and all

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from training import OPTIMIZERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from training.hparams import TrainingHparams

    Slots = dict[str, dict[str, Tensor]]
    Rate = Tensor | float
    """A number, which costs no pass over memory; or a tensor, which a graph takes as an input."""
    Update = Callable[[list[Tensor], list[Tensor], Slots, Rate, TrainingHparams], None]

COUNT = "count"
"""The slot of the number of updates, of one element under the name ``""``."""


@dataclass(frozen=True)
class Optimizer:
    """How parameters are updated.

    Args:
        update: Makes one update.
        slots: The tensors it keeps for each parameter, under these hyperparameters.
        counts: Whether it counts its updates.
    """

    update: Update
    slots: Callable[[TrainingHparams], tuple[str, ...]]
    counts: bool = False


def fresh_slots(hparams: TrainingHparams, parameters: dict[str, Tensor]) -> Slots:
    """The state of an optimizer that has made no update."""
    optimizer = OPTIMIZERS[hparams.optimizer_name]
    slots = {
        slot: {name: torch.zeros_like(value) for name, value in parameters.items()}
        for slot in optimizer.slots(hparams)
    }
    if optimizer.counts:
        device = next(iter(parameters.values())).device if parameters else torch.device("cpu")
        slots[COUNT] = {"": torch.zeros((), device=device)}
    return slots


def sgd(
    parameters: list[Tensor],
    gradients: list[Tensor],
    slots: Slots,
    lr: Rate,
    hparams: TrainingHparams,
) -> None:
    """Stochastic gradient descent with momentum m: ``v = m v + g; w -= lr v``.

    With Nesterov's, ``w -= lr (g + m v)``. Weight decay adds ``wd w`` to g.
    """
    if hparams.weight_decay:
        gradients = list(torch._foreach_add(gradients, parameters, alpha=hparams.weight_decay))
    if momentum := _momentum(hparams):
        velocity = list(slots["momentum"].values())
        torch._foreach_mul_(velocity, momentum)
        torch._foreach_add_(velocity, gradients)
        if hparams.nesterov_momentum:
            gradients = list(torch._foreach_add(gradients, velocity, alpha=momentum))
        else:
            gradients = velocity
    _descend(parameters, gradients, lr)


def adam(
    parameters: list[Tensor],
    gradients: list[Tensor],
    slots: Slots,
    lr: Rate,
    hparams: TrainingHparams,
) -> None:
    """Adam (Kingma & Ba 2015, algorithm 1), with weight decay as L2."""
    if hparams.weight_decay:
        gradients = list(torch._foreach_add(gradients, parameters, alpha=hparams.weight_decay))
    _adam_update(parameters, gradients, slots, lr, hparams)


def adamw(
    parameters: list[Tensor],
    gradients: list[Tensor],
    slots: Slots,
    lr: Rate,
    hparams: TrainingHparams,
) -> None:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2)."""
    if hparams.weight_decay:
        torch._foreach_mul_(parameters, 1 - lr * hparams.weight_decay)
    _adam_update(parameters, gradients, slots, lr, hparams)


def clipped(gradients: list[Tensor], largest: float) -> list[Tensor]:
    """The gradients scaled down to this norm, taken over all of them, where it is larger."""
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    return list(torch._foreach_mul(gradients, (largest / (norm + 1e-6)).clamp(max=1.0)))


def _adam_update(
    parameters: list[Tensor],
    gradients: list[Tensor],
    slots: Slots,
    lr: Rate,
    hparams: TrainingHparams,
) -> None:
    first, second = list(slots["first"].values()), list(slots["second"].values())
    count = slots[COUNT][""]
    count.add_(1)
    torch._foreach_lerp_(first, gradients, 1 - hparams.adam_beta1)
    torch._foreach_mul_(second, hparams.adam_beta2)
    torch._foreach_addcmul_(second, gradients, gradients, 1 - hparams.adam_beta2)
    root = torch._foreach_sqrt(second)
    torch._foreach_div_(root, _correction(hparams.adam_beta2, count, first[0]).sqrt())
    torch._foreach_add_(root, hparams.adam_epsilon)
    change = torch._foreach_div(first, root)
    torch._foreach_mul_(change, lr / _correction(hparams.adam_beta1, count, first[0]))
    torch._foreach_sub_(parameters, change)


def _correction(beta: float, count: Tensor, like: Tensor) -> Tensor:
    """``1 - beta^count``, in the dtype of ``like``.

    Written so, float32 keeps all its digits; of ``1 - .999**count`` the first steps lose five.
    """
    return -torch.expm1(count.to(like.dtype) * (math.log(beta) if beta else -math.inf))


def _descend(
    parameters: list[Tensor], directions: list[Tensor] | tuple[Tensor, ...], lr: Rate
) -> None:
    """``w -= lr d``."""
    if isinstance(lr, float):
        torch._foreach_add_(parameters, directions, alpha=-lr)
    else:
        torch._foreach_sub_(parameters, torch._foreach_mul(directions, lr))


def _momentum(hparams: TrainingHparams) -> float:
    return hparams.nesterov_momentum or hparams.momentum


SGD = Optimizer(sgd, lambda hparams: ("momentum",) if _momentum(hparams) else ())
ADAM = Optimizer(adam, lambda _: ("first", "second"), counts=True)
ADAMW = Optimizer(adamw, lambda _: ("first", "second"), counts=True)
