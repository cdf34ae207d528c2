"""SynFlow: how much of the network's flow, data apart, goes through the weight?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch

from foundations.errors import UserError
from pruning.criteria.flow import Plan, UnknownFlowError, arranged, plan_of
from pruning.criteria.passes import device_of, gradients, leaves, outputs, required, running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Key, ScoringData
    from pruning.mask import Mask

PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class SynFlow:
    """|w| dR/d|w| for R, the sum of outputs for an input of ones (Tanaka et al. 2020, eq. 2).

    Every parameter, biases and batch norms' too, is replaced by its absolute value; the network is
    in evaluation mode, so batch norm is the linear map of its running statistics.

    Raises:
        UserError: There is no such precision.
    """

    precision: str = "float64"
    """``float64``, the reference, or ``float32``, faster. There, the flow is divided by powers of
    two on its way, so that no depth is beyond it, and the scores by one that they share. A network
    with layers for which that cannot be done, or on a GPU, is scored in float64 all the same."""

    _plans: WeakKeyDictionary[nn.Module, Plan | None] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )
    """How networks are run in float32: each is looked at once, not in each of a hundred rounds."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UserError(
                f"precision={self.precision!r} is not allowed for SynFlow: "
                f"{' or '.join(PRECISIONS)}."
            )

    def __call__(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``Criterion``."""
        shape = (1, *required(data, "synflow").shape)
        scores = self._in_float32(network, weights, mask, shape, key)
        return scores or _in_float64(network, weights, mask, shape, key)

    def _in_float32(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        shape: tuple[int, ...],
        key: Key,
    ) -> dict[str, Tensor] | None:
        """The scores; None if it is not asked for, or not possible."""
        if self.precision != "float32" or device_of(weights).type != "cpu":
            return None
        if network not in self._plans:
            with running(network, device_of(weights), training=False, key=key):
                self._plans[network] = plan_of(network)
        plan = self._plans[network]
        if plan is None:
            return None
        try:
            with torch.enable_grad(), plan.threads():
                return _scores_by(plan, weights, mask, torch.ones(shape))
        except UnknownFlowError:
            return None


def _scores_by(
    plan: Plan, weights: Mapping[str, Tensor], mask: Mask, ones: Tensor
) -> dict[str, Tensor] | None:
    """The scores by a plan; None if one is beyond float32, or none of a layer."""
    given = plan.given(weights)
    if not set(mask) <= set(given.weights):
        return None
    variables = leaves(given.weights, mask)
    image = arranged(ones) if plan.narrow else ones
    flow = plan.flow(given._replace(weights={**given.weights, **variables}), image)
    scores = gradients(flow.values.sum(), variables)
    for name, values in scores.items():
        values.mul_(given.weights[name])
    if not given.signless:
        scores = {name: values.abs_() for name, values in scores.items()}
    scores = {name: values.contiguous() for name, values in scores.items()}
    highest = [values.amax() for values in scores.values() if values.numel()]
    return scores if not highest or torch.stack(highest).isfinite().all() else None


def _in_float64(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    mask: Mask,
    shape: tuple[int, ...],
    key: Key,
) -> dict[str, Tensor]:
    """The scores by calling the network as it is."""
    device = device_of(weights)
    place = torch.device("cpu") if device.type == "mps" else device  # which has no float64
    absolute = _absolute(network, weights, place)
    variables = leaves(absolute, mask)
    ones = torch.ones(shape, dtype=torch.float64, device=place)
    with running(network, place, training=False, key=key):
        flow = outputs(network, absolute, variables, ones).sum()
        slopes = gradients(flow, variables)
    # In place: in a large network, what new memory costs is a good part of it all.
    scores = {name: slopes[name].mul_(absolute[name]).abs_() for name in mask}
    precision = torch.float64 if place == device else torch.float32
    return {name: score.to(device, precision) for name, score in scores.items()}


def _absolute(
    network: nn.Module, weights: Mapping[str, Tensor], device: torch.device
) -> dict[str, Tensor]:
    """Copies in float64, of parameters without their signs; whole numbers stay what they are."""
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    doubled = {
        name: weight.detach().to(
            device, torch.float64 if weight.is_floating_point() else None, copy=True
        )
        for name, weight in (dict(network.named_buffers()) | dict(weights)).items()
    }
    return {
        name: weight.abs_() if name in parameters else weight for name, weight in doubled.items()
    }
