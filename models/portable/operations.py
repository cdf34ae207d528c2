"""What compacted networks do with channels that torch has no single function for."""

from __future__ import annotations

import torch
from torch import Tensor


def constant(like: Tensor, values: Tensor) -> Tensor:
    """The same for every example of a batch.

    Args:
        like: (batch, ...): says how many examples there are.
        values: (1, ...).
    """
    return values.repeat_interleave(like.shape[0], 0)


def filled(x: Tensor, values: Tensor, order: Tensor, dim: int) -> Tensor:
    """Channels with others put between them that are the same for every example.

    Args:
        x: Channels along ``dim``.
        values: More of them, of size 1 or that of ``x`` along all other dimensions.
        order: Which channels of the two, one behind the other, there are in the end.
        dim: Where channels are.
    """
    others = torch.zeros_like(x.narrow(dim, 0, 1)) + values
    return torch.cat([x, others], dim).index_select(dim, order)
