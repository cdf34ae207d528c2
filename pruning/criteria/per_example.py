"""What is averaged over examples that each have a gradient of their own, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.func import grad, vmap

from pruning.criteria.passes import device_of, gradients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from pruning.criteria.loss import Loss
    from pruning.criteria.passes import Scores

ENTRIES = {"cpu": 2**23}
"""So many entries of gradients are held at once, by the kind of device: about what is fastest."""

ENTRIES_ELSEWHERE = 2**28


def mean_over_examples(
    loss: Loss, function: Callable[[Tensor], Tensor], x: Tensor, y: Tensor
) -> Scores:
    """The mean, over the examples of a batch, of a function of each entry of their gradients.

    In evaluation mode an example's loss is its own. In training mode, batch norm makes it depend on
    the whole batch; it is differentiated as such.

    Args:
        loss: Its derivatives are taken by its variables.
        function: It works entry by entry.
        x: The batch's images.
        y: Its labels.
    """
    sums = {name: torch.zeros_like(value) for name, value in loss.scored.items()}
    for slopes in _dependent(loss, x, y) if loss.training else gradients_apart(loss, x, y):
        for name, slope in slopes.items():
            sums[name] += function(slope).sum(0)
    return {name: values.div_(len(y)) for name, values in sums.items()}


def _dependent(loss: Loss, x: Tensor, y: Tensor) -> Iterator[Scores]:
    """The gradient (1, ...) of each example's loss, of one pass of them all."""
    for one in loss.at(loss.variables, x, y, reduction="none"):
        slopes = gradients(one, loss.variables, keep=True)
        yield {name: slope[None] for name, slope in slopes.items()}


def gradients_apart(loss: Loss, x: Tensor, y: Tensor) -> Iterator[Scores]:
    """The gradients (N, ...) of the examples' losses, as many at once as memory is meant for."""
    size = _chunk(loss)
    parts = zip(torch.split(x, size), torch.split(y, size), strict=True)
    if size == 1:  # then a plain pass is faster
        for image, label in parts:
            yield {name: slope[None] for name, slope in loss.gradient(image, label).items()}
        return

    def of_one(values: Scores, image: Tensor, label: Tensor) -> Tensor:
        return loss.at(values, image[None], label[None])

    of_each = vmap(grad(of_one), in_dims=(None, 0, 0), randomness="different")
    for images, labels in parts:
        yield of_each(loss.scored, images, labels)


def _chunk(loss: Loss) -> int:
    """How many examples have their gradients held at once."""
    entries = sum(value.numel() for value in loss.variables.values())
    held = ENTRIES.get(device_of(loss.variables).type, ENTRIES_ELSEWHERE)
    return max(1, held // max(1, entries))
