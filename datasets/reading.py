"""What a process that reads images does: from a request to a block of pixels.

It is the same function in a process of its own and in the run itself, so the number of processes
changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from datasets.augment import Draws, PixelTable, augmented
from datasets.pictures import CROP_DRAWS, decoded, framed, resized_crop
from foundations.draws import generator

if TYPE_CHECKING:
    from datasets.dataset import Augmentation, Framing


@dataclass(frozen=True)
class Request:
    """Some images to be read.

    Args:
        paths: Their files.
        framing: How they are brought to one size.
        augmentation: What else is done to them; None is nothing.
        numbers: Of each image, its number among the examples.
        draws: What happens to them, in the same order: the arrays of ``Draws``.
        key: Of the epoch.
    """

    paths: tuple[str, ...]
    framing: Framing
    augmentation: Augmentation | None = None
    numbers: tuple[int, ...] = ()
    draws: tuple[np.ndarray, ...] = ()
    key: tuple[str | int, ...] = ()


def read(request: Request) -> np.ndarray:
    """The images of a request: uint8, (B, H, W, 3).

    Raises:
        DamageError: A file is no image.
    """
    size = request.framing.crop
    pixels = np.empty((len(request.paths), size, size, 3), np.uint8)
    for at, place in enumerate(pixels):
        place[...] = _one(request, at)
    if request.augmentation is None:
        return pixels
    table = PixelTable.of(torch.from_numpy(pixels))
    flip, down, right, degrees, stretch = map(torch.from_numpy, request.draws)
    draws = Draws(flip, down, right, degrees, stretch)
    found = augmented(table, torch.arange(len(pixels)), draws, request.augmentation)
    return found.numpy()


def _one(request: Request, at: int) -> np.ndarray:
    """One image in its size: (H, W, 3)."""
    image = decoded(request.paths[at]).convert("RGB")
    wanted = None if request.augmentation is None else request.augmentation.resized_crop
    if wanted is None:
        return np.asarray(framed(image, request.framing.resize, request.framing.crop))
    keyed = generator(*request.key, "resized crop", request.numbers[at])
    draws = torch.rand(CROP_DRAWS, generator=keyed, dtype=torch.float64).tolist()
    return np.asarray(resized_crop(image, wanted, request.framing.crop, draws))
