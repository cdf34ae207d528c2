"""Small splits of random pixels."""

from __future__ import annotations

import torch

from datasets.data import Content, Split


def random_split(count: int, shape: tuple[int, int, int], classes: int, seed: int = 0) -> Split:
    """A split of random pixels, with every class in turn."""
    keyed = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=keyed)
    return Split(images, torch.arange(count) % classes)


def random_content(shape: tuple[int, int, int] = (3, 6, 6), classes: int = 3) -> Content:
    """Training and test examples of random pixels."""
    return Content(random_split(30, shape, classes), random_split(12, shape, classes, seed=1))
