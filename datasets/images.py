"""How a folder of image files, ``train/<class>/`` and ``test/<class>/``, becomes tensors.

Classes are numbered in the order of their names. Images are gray if all of them are, and color
otherwise. Transparency and the orientation noted by a camera are not looked at.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

from datasets.data import Content, Split
from datasets.listing import SUFFIXES
from datasets.pictures import decoded, framed
from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Decode = Callable[[Path], np.ndarray]


def read_tree(folder: Path, workers: int, image_size: int | None = None) -> Content:
    """The images of a folder.

    Args:
        folder: It holds ``train`` and ``test``, and they a folder for each class.
        workers: Threads that decode; 0 is one.
        image_size: If given, the shorter side of each image is resized to it and the center
            square is cut out; bilinear, as torchvision's Resize and CenterCrop do to PIL images.

    Raises:
        UserError: The folder is not built like this, or its images differ in size.
        DamageError: A file is no image.
    """
    classes = _classes(folder / "train")
    if _classes(folder / "test") != classes:
        raise UserError(
            f"{folder / 'train'} and {folder / 'test'} must have the same folders, one for each "
            f"class: {_difference(classes, _classes(folder / 'test'))}."
        )
    named = [
        [(path, label) for label, name in enumerate(classes) for path in _files(folder / at / name)]
        for at in ("train", "test")
    ]
    arrays = _decode_all([path for part in named for path, _ in part], workers, image_size)
    labels = torch.tensor([label for part in named for _, label in part])
    images = torch.from_numpy(arrays).permute(0, 3, 1, 2)
    edge = len(named[0])
    return Content(Split(images[:edge], labels[:edge]), Split(images[edge:], labels[edge:]))


def image_files(folder: Path) -> list[Path]:
    """All image files of the training and test classes below a folder."""
    return [
        path
        for part in ("train", "test")
        for name in _classes(folder / part)
        for path in _files(folder / part / name)
    ]


def _classes(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise UserError(f"{folder} is missing: it should hold a folder of images for each class.")
    found = (entry for entry in folder.iterdir() if entry.is_dir())
    names = sorted(entry.name for entry in found if not entry.name.startswith("."))
    if not names:
        raise UserError(f"{folder} holds no folders: it should hold one for each class.")
    return names


def _files(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise UserError(
            f"{folder} holds no images. Image files end in {', '.join(sorted(SUFFIXES))}."
        )
    return found


def _difference(train: list[str], test: list[str]) -> str:
    only = sorted(set(train) ^ set(test))
    more = f" and {len(only) - 5} more" if len(only) > 5 else ""
    return f"{', '.join(only[:5])}{more} is in one of them only"


def _decode_all(paths: list[Path], workers: int, image_size: int | None) -> np.ndarray:
    """The images as (N, H, W, C), of one or three channels."""

    def decode(path: Path) -> np.ndarray:
        return _decode(path, image_size)

    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            arrays = list(pool.map(decode, paths))
    else:
        arrays = [decode(path) for path in paths]
    _check_sizes(paths, arrays)
    channels = max(array.shape[2] for array in arrays)
    whole = np.empty((len(arrays), *arrays[0].shape[:2], channels), np.uint8)
    for place, array in zip(whole, arrays, strict=True):
        place[...] = array  # a gray image among color ones gets three equal channels
    return whole


def _check_sizes(paths: list[Path], arrays: list[np.ndarray]) -> None:
    first = arrays[0].shape[:2]
    for path, array in zip(paths, arrays, strict=True):
        if array.shape[:2] != first:
            raise UserError(
                f"The images differ in size: {paths[0]} is {first[0]}x{first[1]}, {path} is "
                f"{array.shape[0]}x{array.shape[1]}. Say with --image_size=N to which size they "
                "are to be brought."
            )


def _decode(path: Path, image_size: int | None) -> np.ndarray:
    """One image as (H, W, C)."""
    image = decoded(path)
    if image_size is not None:
        image = framed(image, image_size, image_size)
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
