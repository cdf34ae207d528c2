"""What the tests of granularities have in common."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch.func import functional_call

from foundations.draws import generator
from pruning.choices import GRANULARITIES
from pruning.hparams import PruningHparams
from pruning.mask import Mask
from pruning.prune import prune
from pruning.subject import Subject
from tests.models.graphs import CLASSES, NETWORKS, SHAPE
from tests.models.graphs import drawn as with_values
from tests.models.graphs import images as images_of
from tests.pruning.networks import Examples

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pruning.granularity import Granularity
    from pruning.prune import Pruned


def made(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """One of the small networks with drawn values, in float64, and its weights."""
    network = with_values(NETWORKS[name]())
    return network, {key: value.detach().clone() for key, value in network.state_dict().items()}


def subject_of(network: nn.Module, **settings: Any) -> Subject:
    """The network, to be pruned with these settings."""
    return Subject(network, PruningHparams(**settings), SHAPE)


def granularity_of(network: nn.Module, name: str, **settings: Any) -> Granularity:
    """The granularity of this name, made for the network."""
    return GRANULARITIES[name].of(subject_of(network, granularity=name, **settings))


def dense(network: nn.Module, weights: dict[str, Tensor]) -> Mask:
    """The mask that keeps all weights that can be pruned."""
    return Mask.dense(weights, subject_of(network).prunable)


def examples(*sizes: int) -> Examples:
    """Batches of these sizes, of drawn images."""
    images = images_of(sum(sizes))
    labels = torch.arange(sum(sizes)) % CLASSES
    ends = list(accumulate(sizes))
    parts = [
        (images[end - size : end], labels[end - size : end])
        for size, end in zip(sizes, ends, strict=True)
    ]
    return Examples(parts, SHAPE)


def pruned(network: nn.Module, weights: dict[str, Tensor], **settings: Any) -> Pruned:
    """The network, pruned with these settings, scored on five examples in two batches."""
    return prune(subject_of(network, **settings), weights, data=examples(3, 2), seed=0)


def run(network: nn.Module, weights: dict[str, Tensor]) -> Tensor:
    """Its logits in evaluation mode."""
    logits: Tensor = functional_call(network.eval(), weights, (images_of(6),))
    return logits.detach()


def random_scores(units: Mask) -> dict[str, Tensor]:
    """A draw, of either sign, for each unit or weight."""
    return {
        name: torch.randn(kept.shape, generator=generator(4, name), dtype=torch.float64)
        for name, kept in units.items()
    }
