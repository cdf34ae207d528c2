"""Derivatives of a network's loss the slow way: by differences, and with a Hessian written out."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.pruning.networks import Batches, Weights

STEP = 3e-4
STENCIL = {1: 8, -1: -8, 2: -1, -2: 1}
"""Of the derivative, in twelfths of a step: its error is of the fourth order."""


@dataclass(frozen=True)
class Slow:
    """A network's loss, in float64, in one mode and at one temperature."""

    network: nn.Module
    weights: Weights
    names: Sequence[str]
    training: bool
    temperature: float = 1.0

    def module(self) -> nn.Module:
        """A module that has these weights."""
        model = copy.deepcopy(self.network).double().train(self.training)
        model.load_state_dict(self.weights)
        return model

    def losses(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """The loss of each example, by calling a module."""
        with torch.no_grad():
            return cross_entropy(model(x.double()) / self.temperature, y, reduction="none")

    def slopes(self, x: Tensor, y: Tensor) -> Weights:
        """The gradient (B, ...) of each example's loss, by differences of each weight."""
        model, found = self.module(), {}
        for name in self.names:
            weight = model.get_parameter(name).detach()
            columns = [self._slope(model, weight, at, x, y) for at in range(weight.numel())]
            found[name] = torch.stack(columns, 1).view(len(y), *weight.shape)
        return found

    def slope(self, data: Batches) -> Weights:
        """The gradient of the mean loss over all examples of all batches."""
        parts = [self.slopes(x, y) for x, y in data]
        return {name: torch.cat([part[name] for part in parts]).mean(0) for name in self.names}

    def hessian(self, data: Batches) -> Tensor:
        """The Hessian of the mean loss over all examples, by all the weights in a row."""
        model = self.module()
        total = sum(len(y) for _, y in data)

        def loss(flat: Tensor) -> Tensor:
            moved = {**self.weights, **self.unflattened(flat)}
            sums = []
            for x, y in data:
                given = {name: tensor.clone() for name, tensor in moved.items()}
                logits = functional_call(model, given, (x.double(),)) / self.temperature
                sums.append(cross_entropy(logits, y, reduction="sum"))
            return torch.stack(sums).sum() / total

        found: Tensor = torch.autograd.functional.hessian(loss, self.flat(self.weights))  # type: ignore[no-untyped-call]
        return found

    def flat(self, tensors: Weights) -> Tensor:
        """All the scored weights in a row."""
        return torch.cat([tensors[name].flatten() for name in self.names])

    def unflattened(self, flat: Tensor) -> Weights:
        """The opposite."""
        shapes = [self.weights[name].shape for name in self.names]
        parts = torch.split(flat, [shape.numel() for shape in shapes])
        return {
            name: part.view(shape)
            for name, part, shape in zip(self.names, parts, shapes, strict=True)
        }

    def _slope(self, model: nn.Module, weight: Tensor, at: int, x: Tensor, y: Tensor) -> Tensor:
        sums = torch.zeros(len(y), dtype=torch.float64)
        before = weight.view(-1)[at].item()
        for steps, share in STENCIL.items():
            weight.view(-1)[at] = before + steps * STEP
            sums += share * self.losses(model, x, y)
        weight.view(-1)[at] = before
        return sums / (12 * STEP)
