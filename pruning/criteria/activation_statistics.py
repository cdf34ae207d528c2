"""Activation statistics: does the activation say anything, or is it much the same?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch.func import functional_call

from models.gates import buffer_name, gate_name, gated
from pruning.criteria.passes import device_of, required, running
from pruning.granularities.channels import Channels
from pruning.granularities.gates import Gates, makers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from pruning.criteria import Examples, Key, ScoringData
    from pruning.granularity import Granularity
    from pruning.mask import Mask
    from pruning.subject import Subject

TINY = 1e-8
"""Added to the mean that is divided by."""


@dataclass(frozen=True)
class ActivationStatistics:
    """-alpha / (mean + 1e-8) + deviation / beta of the activation of a channel or unit.

    As in "Fine Granularity is Critical for Intelligent Neural Network Pruning", after ReLU and
    after residual additions, in evaluation mode. Mean and standard deviation are taken over
    examples at each position, and averaged over positions. A channel or node that is no gate has
    the activation after the first place for a gate that its layer is the deepest of; of channels
    that are cut together, the mean.
    """

    serves: ClassVar[frozenset[str]] = frozenset({"channels", "nodes", "gates"})

    subject: Subject
    examples: Examples
    """What it is scored on."""
    alpha: float = 1.0
    beta: float = 1.0
    batched: bool = False
    """Take the square of each batch's sum for its sum of squares, as the original code does: no
    deviation unless a batch is one example."""

    def units(
        self,
        network: nn.Module,  # noqa: ARG002 - what may have gates already cannot be tapped
        weights: Mapping[str, Tensor],
        mask: Mask,  # noqa: ARG002 - the interface's
        granularity: Granularity,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``UnitCriterion``."""
        batches = required(data, "activation_statistics").batches(self.examples)
        if isinstance(granularity, Gates):
            gates = {gate_name(site): site for site in makers(self.subject.wiring)}
            found = self._scores([gates[name] for name in granularity.made], weights, batches, key)
            return {gate_name(site): scores for site, scores in found.items()}
        if not isinstance(granularity, Channels):
            raise TypeError(f"{type(granularity).__name__} has no activations.")
        places = _places(granularity)
        wanted = list(dict.fromkeys(site for site, _ in places.values()))
        found = self._scores(wanted, weights, batches, key)
        device = device_of(found)
        return granularity.means(
            {layer: found[n][torch.from_numpy(at).to(device)] for layer, (n, at) in places.items()}
        )

    def _scores(
        self,
        names: Sequence[str],
        weights: Mapping[str, Tensor],
        batches: Sequence[tuple[Tensor, Tensor]],
        key: Key,
    ) -> dict[str, Tensor]:
        """By the name of a site, the score of each of its channels."""
        sites = self.subject.wiring.sites
        present = [site for n, site in sites.items() if buffer_name(gate_name(n)) in weights]
        tapped = gated(self.subject.network, present, taps=[sites[name] for name in names])
        device, dtype = device_of(weights), weights[self.subject.prunable[0]].dtype
        with running(tapped, device, training=False, key=key), torch.no_grad():
            sums = [_Sums() for _ in names]
            for x, _ in batches:
                seen_at = functional_call(tapped, dict(weights), (x.to(device, dtype),))
                for own, seen in zip(sums, seen_at, strict=True):
                    own.add(seen, batched=self.batched)
        return {name: self._score(own) for name, own in zip(names, sums, strict=True)}

    def _score(self, sums: _Sums) -> Tensor:
        mean = sums.total / sums.count
        variance = (sums.squares / sums.count - mean.square()).clamp(min=0)
        mean, deviation = (each.flatten(1).mean(1) for each in (mean, variance.sqrt()))
        return -self.alpha / (mean + TINY) + deviation / self.beta


@dataclass
class _Sums:
    """Of the activations of a site: by channel and position, (C, positions)."""

    total: Tensor = field(default_factory=lambda: torch.zeros(()))
    squares: Tensor = field(default_factory=lambda: torch.zeros(()))
    count: int = 0

    def add(self, seen: Tensor, *, batched: bool) -> None:
        """Take in a batch (B, C, ...), in float64 where there is such."""
        seen = seen.to(torch.float32 if seen.device.type == "mps" else torch.float64)
        seen = seen.reshape(*seen.shape[:2], -1)
        total = seen.sum(0)
        self.total = self.total + total
        self.squares = self.squares + (total.square() if batched else seen.square().sum(0))
        self.count += len(seen)


def _places(channels: Channels) -> dict[str, tuple[str, NDArray[np.int64]]]:
    """By the name of a layer: a site that it makes, and where its channels are there."""
    found: dict[str, tuple[str, NDArray[np.int64]]] = {}
    for site, parts in makers(channels.wiring).items():
        for layer, rows, places in parts:
            whole = len(rows) == len(channels.wiring.producers[layer])
            if layer in channels.layers and layer not in found and whole:
                found[layer] = (site, places[np.argsort(rows)])
    return found
