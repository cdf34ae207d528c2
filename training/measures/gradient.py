"""How long the gradient of the training loss is: how fast training could go from a state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypedDict

import torch

from models.build import prunable, trainable
from training.measures.subject import batch_norms
from training.numerics import sum_dtype
from training.step import training_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from datasets.loader import Batch
    from training.measures.subject import Subject


class GradientNorm(TypedDict):
    """The Euclidean norm of a gradient."""

    norm: float
    """Over all parameters that are trained."""
    norm_of_prunable: float
    """Over the weights of convolutions and linear layers alone."""
    examples: int
    """On which the loss was taken."""


def gradient_norm(subject: Subject, batches: int | None = None) -> GradientNorm:
    """The norm of the gradient of the mean training loss, with respect to what is kept.

    Examples are not augmented and come in a keyed order, in batches of the recipe's size. Batch
    norms normalize by each batch, as in training; nothing is dropped.

    Args:
        subject: The network at a state.
        batches: On how many batches; by default on all training examples.

    Raises:
        UserError: There are not so many.
    """
    setting = subject.setting
    network = subject.network()
    for module in batch_norms(network).values():
        module.train()
    names = [name for name, _ in network.named_parameters()]
    trained = trainable(network, setting.recipe.model)
    variables = {n: subject.weights[n].detach().requires_grad_() for n in names if n in trained}
    sums: dict[str, Tensor] = {}
    examples = 0
    for images, labels in subject.training_batches(batches or setting.iterations_per_epoch):
        found = _gradient(subject, network, variables, (images, labels))
        for name, gradient in zip(variables, found, strict=True):
            share = gradient.to(sum_dtype(gradient.device)) * len(labels)
            sums[name] = sums[name].add_(share) if name in sums else share
        examples += len(labels)
    squares = {
        name: float((_kept(subject, name, s) / examples).square().sum()) for name, s in sums.items()
    }
    layers = set(prunable(network))
    of_layers = sum(square for name, square in squares.items() if name in layers)
    return {
        "norm": math.sqrt(sum(squares.values())),
        "norm_of_prunable": math.sqrt(of_layers),
        "examples": examples,
    }


def _gradient(
    subject: Subject, network: nn.Module, variables: dict[str, Tensor], batch: Batch
) -> Sequence[Tensor]:
    """The gradient of the mean loss of a batch."""
    images, labels = batch
    buffers = {  # copies: a batch norm writes to them
        name: subject.weights[name].clone()
        for name, _ in network.named_buffers()
        if name in subject.weights
    }
    with torch.enable_grad():
        logits = subject.call(network, {**subject.weights, **buffers, **variables}, images)
        loss = training_loss(subject.setting.recipe.training, logits, labels)
        return torch.autograd.grad(loss, list(variables.values()), materialize_grads=True)


def _kept(subject: Subject, name: str, values: Tensor) -> Tensor:
    """The values where the mask keeps the parameter."""
    if subject.mask is None or name not in subject.mask:
        return values
    return values * subject.mask[name].to(values.device)
