"""Small splits of random pixels, and small folders of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from datasets.data import Content, Split

if TYPE_CHECKING:
    from pathlib import Path


def random_split(count: int, shape: tuple[int, int, int], classes: int, seed: int = 0) -> Split:
    """A split of random pixels, with every class in turn."""
    keyed = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=keyed)
    return Split(images, torch.arange(count) % classes)


def random_content(shape: tuple[int, int, int] = (3, 6, 6), classes: int = 3) -> Content:
    """Training and test examples of random pixels."""
    return Content(random_split(30, shape, classes), random_split(12, shape, classes, seed=1))


WNIDS = ("n01", "n02", "n03")
"""The classes of the folders that are made here."""


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A smooth color image, of width and height."""
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size)


def picture_folder(
    folder: Path, *, train: int = 12, val: int = 5, suffix: str = ".JPEG", inner: str = ""
) -> Path:
    """A folder of ImageNet's layout: ``train/<wnid>/`` and ``val/<wnid>/``, images of 64x64.

    Args:
        folder: Where.
        train: Images of each class to train on.
        val: Images of each class to test on.
        suffix: ``".png"`` loses nothing.
        inner: A folder within that of each training class: ``"images"`` for TinyImageNet's layout.
    """
    for label, name in enumerate(WNIDS):
        for part, count in ((f"train/{name}/{inner}", train), (f"val/{name}", val)):
            place = folder / part
            place.mkdir(parents=True)
            for number in range(count):
                seed = 1000 * label + number + (500 if "val" in part else 0)
                picture(seed).save(place / f"{name}_{number:02}{suffix}")
    return folder
