"""The memory of a forward pass, against sums by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.measures.memory import peak_memory

WIDTH, BATCH = 256, 3


class _Skip(nn.Module):
    """Two linear layers and a sum, which holds the first one's output until then."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.register_buffer("steps", torch.zeros(5, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        held = self.one(x)
        view = held.view(BATCH, -1).relu_()  # no memory of its own
        return torch.add(self.two(view), held)


def test_peak_of_a_sum() -> None:
    """Three maps at once: what is held, what is added, and the sum; parameters and batch beside."""
    network, images = _Skip(), torch.zeros(BATCH, 8)
    found = peak_memory(network, images, lambda: network(images))
    stored = sum(parameter.numel() for parameter in network.parameters()) * 4 + 5 * 8
    passing = 3 * BATCH * WIDTH * 4
    assert found == {
        "stored": stored,
        "images": BATCH * 8 * 4,
        "passing": passing,
        "peak": stored + BATCH * 8 * 4 + passing,
    }
    assert peak_memory(network, images, lambda: network(images)) == found


def test_what_is_given_back_is_not_counted() -> None:
    """Of a chain, two maps are alive at once, however long it is."""
    layers = [nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(5)]
    network, images = nn.Sequential(*layers), torch.zeros(BATCH, WIDTH)
    found = peak_memory(network, images, lambda: network(images))
    assert found["passing"] == 2 * BATCH * WIDTH * 4


def test_a_tensor_that_two_names_stand_for_is_stored_once() -> None:
    """Shared parameters take no more."""
    shared = nn.Linear(WIDTH, WIDTH, bias=False)
    network, images = nn.Sequential(shared, shared), torch.zeros(BATCH, WIDTH)
    twin = nn.Linear(WIDTH, WIDTH, bias=False)
    twin.weight = shared.weight
    network.append(twin)
    assert peak_memory(network, images, lambda: network(images))["stored"] == WIDTH * WIDTH * 4
