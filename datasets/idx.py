"""How IDX files, the format of MNIST, are read.

An IDX file is a magic number (two zero bytes, a type, the number of dimensions), the dimensions as
big-endian 32-bit numbers, and the values. http://yann.lecun.com/exdb/mnist/ describes it.
"""

from __future__ import annotations

import gzip
import zlib
from math import prod
from typing import TYPE_CHECKING

import torch

from datasets.data import Content, Split
from datasets.idx_files import IMAGES, LABELS, SPLITS
from foundations.errors import DamageError
from foundations.files import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

_UNSIGNED_BYTE = 8


def read(folder: Path, workers: int) -> Content:  # noqa: ARG001 - there is nothing to share out
    """Training and test images of a folder of four IDX files, each perhaps with ``.gz``."""
    return Content(*(_read_split(folder, split) for split in SPLITS))


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The values of an IDX file of bytes.

    Raises:
        DamageError: It is not one, has other dimensions, or is shorter or longer than it says.
    """
    data = _bytes(path)
    start = 4 + 4 * dimensions
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if data[:4] != magic or len(data) < start:
        raise DamageError(
            f"{path} is no IDX file of bytes in {dimensions} dimensions: it begins with "
            f"{data[:4].hex() or 'nothing'}, where {magic.hex()} was expected."
        )
    shape = [int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4)]
    if len(data) != start + prod(shape) or not prod(shape):
        raise DamageError(
            f"{path} is damaged: it says that it holds {'x'.join(map(str, shape))} values, "
            f"{start + prod(shape)} bytes in all, and has {len(data)}."
        )
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=start).view(shape)


def _read_split(folder: Path, split: str) -> Split:
    images = read_idx(_path(folder, IMAGES.format(split=split)), 3)
    labels = read_idx(_path(folder, LABELS.format(split=split)), 1)
    if len(images) != len(labels):
        raise DamageError(
            f"In {folder}, the images and the labels of {split!r} do not belong together: "
            f"{len(images)} and {len(labels)}."
        )
    return Split(images[:, None], labels.long())


def _path(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.exists() else folder / f"{name}.gz"


def _bytes(path: Path) -> bytes:
    data = read_bytes(path)
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DamageError(f"{path} is damaged: it cannot be decompressed ({error}).") from error
