"""SynFlow: how much of the network's flow, data apart, goes through the weight?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pruning.criteria.passes import device_of, gradients, leaves, outputs, required, running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Key, ScoringData
    from pruning.mask import Mask


@dataclass(frozen=True)
class SynFlow:
    """|w| dR/d|w| for R, the sum of outputs for an input of ones (Tanaka et al. 2020, eq. 2).

    Every parameter, biases and batch norms' too, is replaced by its absolute value; the network is
    in evaluation mode, so batch norm is the linear map of its running statistics. In float64: the
    flow of a deep network is beyond float32.
    """

    def __call__(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``Criterion``."""
        device = device_of(weights)
        place = torch.device("cpu") if device.type == "mps" else device  # which has no float64
        absolute = _absolute(network, weights, place)
        variables = leaves(absolute, mask)
        ones = torch.ones((1, *required(data, "synflow").shape), dtype=torch.float64, device=place)
        with running(network, place, training=False, key=key):
            flow = outputs(network, absolute, variables, ones).sum()
            slopes = gradients(flow, variables)
        scores = {name: (slopes[name] * absolute[name]).abs() for name in mask}
        precision = torch.float64 if place == device else torch.float32
        return {name: score.to(device, precision) for name, score in scores.items()}


def _absolute(
    network: nn.Module, weights: Mapping[str, Tensor], device: torch.device
) -> dict[str, Tensor]:
    """The weights in float64, parameters without their signs; whole numbers stay what they are."""
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    doubled = {
        name: weight.detach().to(device, torch.float64 if weight.is_floating_point() else None)
        for name, weight in (dict(network.named_buffers()) | dict(weights)).items()
    }
    return {
        name: weight.abs() if name in parameters else weight for name, weight in doubled.items()
    }
