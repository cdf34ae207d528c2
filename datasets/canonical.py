"""In which order examples stand, and what the checksum of a data set is.

The order is by label, then by pixels (row by row, pixel by pixel, channel by channel), so that it
does not depend on the files that the examples were read from.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch

from datasets.data import Content, Split, pixel_major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


def canonical(split: Split) -> Split:
    """The examples in canonical order, lying pixel by pixel in memory."""
    pixels = pixel_major(split.images).numpy()
    labels = split.labels.tolist()
    order = sorted(range(len(labels)), key=lambda index: (labels[index], pixels[index].tobytes()))
    return split.take(torch.tensor(order, dtype=torch.int64))


def canonical_content(content: Content) -> Content:
    """Both splits in canonical order."""
    return Content(canonical(content.train), canonical(content.test))


def tensors(content: Content) -> dict[str, Tensor]:
    """The four tensors of a data set as they are stored; images as (N, H, W, C)."""
    return {
        "train_images": pixel_major(content.train.images),
        "train_labels": content.train.labels.contiguous(),
        "test_images": pixel_major(content.test.images),
        "test_labels": content.test.labels.contiguous(),
    }


def from_tensors(stored: dict[str, Tensor]) -> Content:
    """The data set of the tensors that ``tensors`` gave."""
    return Content(
        *(
            Split(stored[f"{name}_images"].permute(0, 3, 1, 2), stored[f"{name}_labels"])
            for name in ("train", "test")
        )
    )


def digest(content: Content) -> str:
    """The sha256 of a data set: of names, types, shapes and bytes of its tensors."""
    found = hashlib.sha256()
    for part in _parts(content):
        found.update(part)
    return found.hexdigest()


def _parts(content: Content) -> Iterator[bytes | memoryview]:
    for name, tensor in tensors(content).items():
        yield json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode()
        yield tensor.numpy().data.cast("B")
