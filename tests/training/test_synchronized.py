"""Which batch norms can see a batch that several processes share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from foundations.errors import UserError
from platforms.ranks import Group
from training.synchronized import synchronize


class Doubled(nn.BatchNorm2d):
    """A norm of one's own."""

    def forward(self, x: Tensor) -> Tensor:
        """Twice what the norm gives."""
        return 2 * super().forward(x)


def test_norms_with_a_forward_pass_of_their_own_are_refused() -> None:
    """In place of having PyTorch's instead of it, without a word."""
    group = object.__new__(Group)  # nothing is exchanged
    network = nn.Sequential(nn.BatchNorm2d(2), Doubled(2))
    with pytest.raises(UserError, match="1 is a Doubled, a batch norm with a forward pass"):
        synchronize(network, group)


def test_outside_of_training_a_norm_is_as_before() -> None:
    """It has its running statistics, and needs nobody else."""
    norm, x = nn.BatchNorm2d(2).eval(), torch.randn(3, 2, 4, 4)
    expected = norm(x)
    synchronize(norm, object.__new__(Group))
    assert torch.equal(norm(x), expected)
