"""What batch norms would have kept as statistics, had they only seen the network as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foundations.errors import UserError
from training.measures.subject import batch_norms

if TYPE_CHECKING:
    from training.measures.subject import Subject


def recalibrated(subject: Subject, batches: int | None = None) -> Subject:
    """The network with the statistics of its batch norms recomputed on training examples.

    They are the plain averages, over batches of the recipe's size, of mean and unbiased variance
    (PyTorch's ``momentum=None``): the network normalizes by each batch's own, as in training. The
    examples are not augmented and come in a keyed order; nothing is dropped.

    Args:
        subject: The network at a state.
        batches: On how many; by default on all whole ones.

    Raises:
        UserError: There are not so many, or the network has no batch norm.
    """
    network = subject.network()
    norms = batch_norms(network)
    if not norms:
        name = subject.setting.recipe.model.model_name
        raise UserError(f"{name} has no batch norms to recalibrate.")
    for module in norms.values():
        module.train().momentum = None  # type: ignore[assignment] # the cumulative average
    statistics = _fresh(subject, norms)
    whole = len(subject.setting.data.train) // subject.setting.recipe.dataset.batch_size
    with torch.no_grad():
        for images, _ in subject.training_batches(batches or max(1, whole)):
            subject.call(network, {**subject.weights, **statistics}, images)
    return subject.at(statistics)


def _fresh(subject: Subject, norms: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """The statistics of batch norms that have seen nothing."""
    start = {"running_mean": 0, "running_var": 1, "num_batches_tracked": 0}
    return {
        f"{norm}.{part}": torch.full_like(subject.weights[f"{norm}.{part}"], value)
        for norm in norms
        for part, value in start.items()
    }
