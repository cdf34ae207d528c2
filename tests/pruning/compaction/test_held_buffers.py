"""What a network computes of its buffers alone is compacted with their values."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from tests.models.graphs import CLASSES, SHAPE
from tests.pruning.compaction.cases import MASKS, assert_same, lively


class Shifted(nn.Module):
    """Adds a buffer, seen in another shape, between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 5, 3), nn.Linear(5, CLASSES)
        self.register_buffer("shift", torch.arange(5.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.conv(x).relu() + cast("Tensor", self.shift).view(1, -1, 1, 1)
        return cast("Tensor", self.fc(x.mean((2, 3))))


def test_a_view_of_a_buffer() -> None:
    """It is a step of the graph, not a tensor of the copy without values that is traced."""
    network = lively(Shifted())
    for mask in ("random_0.3", "independent", "gates"):
        small = assert_same(network, SHAPE, MASKS[mask](network, SHAPE))
        assert not any(tensor.is_meta for _, tensor in small.named_buffers())
