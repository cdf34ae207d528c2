"""The loss of the scored examples as a function of the weights, and criteria made of it.

A criterion of this kind is one function, from the loss to scores; data, mode, temperature and
precision are the same settings for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from foundations.errors import check_known
from pruning.criteria.passes import (
    device_of,
    gradients,
    leaves,
    mean_over_batches,
    outputs,
    required,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from pruning.criteria import Examples, Key, ScoringData
    from pruning.criteria.passes import Scores
    from pruning.mask import Mask

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, kw_only=True, eq=False)
class Loss:
    """The mean cross-entropy of batches, of logits divided by a temperature.

    Args:
        network: Called functionally.
        weights: All parameters and buffers by name.
        variables: What derivatives are taken by: the weights that are scored, and maybe others,
            those pruned already included. They stand in the place of ``weights`` of their names.
        batches: The examples that are scored on.
        training: The mode of the network.
        temperature: What logits are divided by.
        key: What random layers are keyed by.
    """

    network: nn.Module
    weights: Mapping[str, Tensor]
    variables: Mapping[str, Tensor]
    batches: Sequence[tuple[Tensor, Tensor]]
    training: bool
    temperature: float
    key: Key

    @property
    def scored(self) -> Scores:
        """The values of the variables."""
        return {name: variable.detach() for name, variable in self.variables.items()}

    def at(
        self, variables: Mapping[str, Tensor], x: Tensor, y: Tensor, *, reduction: str = "mean"
    ) -> Tensor:
        """The loss of a batch where the scored weights have these values."""
        logits = outputs(self.network, self.weights, variables, x) / self.temperature
        return cross_entropy(logits, y, reduction=reduction)

    def gradient(self, x: Tensor, y: Tensor, *, again: bool = False) -> Scores:
        """g, the gradient of the loss of a batch; ``again`` if it will be differentiated."""
        return gradients(self.at(self.variables, x, y), self.variables, again=again)

    def curvature(self, x: Tensor, y: Tensor, along: Mapping[str, Tensor] | None = None) -> Scores:
        """Hv for the Hessian H of a batch's loss and a direction v: its gradient, by default.

        One pass forward and two back.
        """
        slopes = self.gradient(x, y, again=True)
        # The derivative of <v, g> with v held fixed is Hv.
        fixed = {name: slope.detach() for name, slope in slopes.items()} if along is None else along
        dots = [(fixed[name] * slope).sum() for name, slope in slopes.items()]
        return gradients(torch.stack(dots).sum(), self.variables)

    def mean(self, score: Callable[[Tensor, Tensor], Scores]) -> Scores:
        """What ``score`` finds for each batch, averaged over examples."""
        device = device_of(self.variables)
        with running(self.network, device, training=self.training, key=self.key):
            return mean_over_batches(score, self.batches, device)


@dataclass(frozen=True)
class LossCriterion(ABC):
    """A criterion made of the loss and its derivatives.

    Raises:
        UserError: There is no such precision.
    """

    examples: Examples
    """What it is scored on."""
    training: bool = False
    """Whether the network is in training mode, where batch norm takes the batch's statistics."""
    temperature: float = 1.0
    """What logits are divided by."""
    precision: str | None = None
    """``float32`` or ``float64``, in which all is computed; by default that of the weights."""

    def __post_init__(self) -> None:
        check_precision(self.precision)

    @abstractmethod
    def scores(self, loss: Loss) -> Scores:
        """A score for each entry of ``loss.variables``."""

    def variables(self, network: nn.Module, mask: Mask) -> Iterable[str]:  # noqa: ARG002 - for those that look further
        """The names of what derivatives are taken by: the weights that are scored, at least."""
        return mask

    def __call__(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``Criterion``."""
        computed = in_precision(network, weights, self.precision)
        loss = Loss(
            network=network,
            weights=computed,
            variables=leaves(computed, self.variables(network, mask)),
            batches=required(data, type(self).__name__).batches(self.examples),
            training=self.training,
            temperature=self.temperature,
            key=key,
        )
        scores = self.scores(loss)
        return brought_to(device_of(weights), {name: scores[name] for name in mask})


def check_precision(precision: str | None) -> None:
    """Refuse a precision that there is not.

    Raises:
        UserError: There is no such precision.
    """
    if precision is not None:
        check_known("precision", precision, PRECISIONS)


def brought_to(device: torch.device, scores: Mapping[str, Tensor]) -> Scores:
    """The scores on the device of the weights, whatever they were computed in."""
    dtype = torch.float32 if device.type == "mps" else None  # which has no float64
    return {name: values.to(device, dtype) for name, values in scores.items()}


def in_precision(
    network: nn.Module, weights: Mapping[str, Tensor], precision: str | None
) -> Mapping[str, Tensor]:
    """The weights, and buffers that no state has, in a precision; whole numbers stay as they are.

    Where there is no float64, they come to the CPU.
    """
    if precision is None:
        return weights
    dtype, device = PRECISIONS[precision], device_of(weights)
    place = torch.device("cpu") if (device.type, precision) == ("mps", "float64") else device
    return {
        name: tensor.detach().to(place, dtype if tensor.is_floating_point() else None)
        for name, tensor in (dict(network.named_buffers()) | dict(weights)).items()
    }
