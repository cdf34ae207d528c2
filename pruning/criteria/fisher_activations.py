"""Fisher information of activations: how much does the loss change when a channel is silenced?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import cross_entropy

from models.gates import buffer_name, gate_name, gated
from pruning.criteria.activation_gates import (
    gates_of_examples,
    information,
    sites_of,
    unit_sums,
)
from pruning.criteria.loss import brought_to, check_precision, in_precision
from pruning.criteria.passes import device_of, gradients, leaves, outputs, required, running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Examples, Key, ScoringData
    from pruning.criteria.activation_gates import UnitSites
    from pruning.granularity import Granularity
    from pruning.mask import Mask
    from pruning.subject import Subject


@dataclass(frozen=True)
class FisherActivations:
    """Half the mean over examples of the squared sum over positions of a dL/da.

    Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher pruning": to second
    order, what the loss grows by when the activation a, behind norm and ReLU, is set to
    zero. L is an example's loss. Of channels that are cut together, the sum is over the activations
    of all of them (``activation_gates.sites_of``). In training mode, where batch norm takes the
    batch's statistics, what an example's activation does to the losses of the others counts too.

    Raises:
        UserError: There is no such precision.
    """

    serves: ClassVar[frozenset[str]] = frozenset({"channels", "nodes", "gates"})

    subject: Subject
    examples: Examples
    """What it is scored on."""
    training: bool = True
    """Whether the network is in training mode."""
    temperature: float = 1.0
    """What logits are divided by."""
    precision: str | None = None
    """``float32`` or ``float64``, in which all is computed; by default that of the weights."""
    batch_mean: bool = False
    """Take the mean loss of a batch for L, and the mean over batches of the mean over each one's
    examples: what the code of "Pruning neural networks: is it time to nip it in the bud?" does.
    Scores are smaller by the square of the batch's size, and of a smaller batch count for more."""

    def __post_init__(self) -> None:
        check_precision(self.precision)

    def units(
        self,
        network: nn.Module,  # noqa: ARG002 - what may have gates already can be given no others
        weights: Mapping[str, Tensor],
        mask: Mask,  # noqa: ARG002 - the interface's
        granularity: Granularity,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """See ``UnitCriterion``."""
        batches = required(data, "fisher_activations").batches(self.examples)
        run = self._gated(granularity, weights)
        computed = in_precision(run, weights, self.precision)
        device = device_of(computed)
        sites = sites_of(granularity, self.subject.wiring).to(device)
        found = {name: torch.zeros((), device=device) for name in sites.sizes}
        with running(run, device, training=self.training, key=key):
            for x, y in batches:
                sums = self._sums(run, sites, computed, x.to(device), y.to(device))
                added = information(sums, batch_mean=self.batch_mean)
                found = {name: found[name] + values for name, values in added.items()}
        count = len(batches) if self.batch_mean else sum(len(y) for _, y in batches)
        means = {name: values / count for name, values in found.items()}
        return brought_to(device_of(weights), means)

    def _gated(self, granularity: Granularity, weights: Mapping[str, Tensor]) -> nn.Module:
        """The network with gates where units are, and where a mask has any."""
        wiring = self.subject.wiring
        masked = {n: s for n, s in wiring.sites.items() if buffer_name(gate_name(n)) in weights}
        own = {site.name: site for site in sites_of(granularity, wiring).sites}
        return gated(self.subject.network, (masked | own).values())

    def _sums(
        self, run: nn.Module, sites: UnitSites, weights: Mapping[str, Tensor], x: Tensor, y: Tensor
    ) -> Mapping[str, Tensor]:
        """By example and unit, (B, units): the sum over positions of a dL/da."""
        like = weights[self.subject.prunable[0]]
        gates = gates_of_examples(sites, weights, len(y), like)
        variables = leaves(gates, gates)
        logits = outputs(run, weights, variables, x) / self.temperature
        loss = cross_entropy(logits, y, reduction="sum")
        return unit_sums(sites, gates, gradients(loss, variables))
