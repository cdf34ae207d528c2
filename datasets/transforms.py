"""What is done to examples before training: split, subsample, blur, rotation task, random labels.

All draws are keyed, each by a purpose of its own. The order is that of this list. Only training
examples are subsampled, blurred and given random labels; the rotation task changes all splits.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import interpolate

from datasets.data import Split, pixel_major
from foundations.draws import generator
from foundations.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from datasets.data import Content
    from datasets.hparams import DatasetHparams

QUARTER_TURNS = 4
_CHUNK = 4096


def transformed(
    content: Content, hparams: DatasetHparams, classes: int, seed: int
) -> tuple[Split, Split | None, Split, int]:
    """Training, validation and test examples, and the number of classes of the task.

    Args:
        content: What was read.
        hparams: What to do to it.
        classes: How many classes the data set has.
        seed: The seed unless ``hparams.transformation_seed`` gives one.

    Raises:
        UserError: Nothing would be left of a split, or images that are not square are to be turned.
    """
    seed = seed if hparams.transformation_seed is None else hparams.transformation_seed
    train, validation, test = content.train, None, content.test
    if hparams.validation_fraction:
        fraction = hparams.validation_fraction
        train, validation = held_out(train, fraction, seed, "validation")
        _refuse_empty(train, validation, fraction)
    if hparams.subsample_fraction is not None:
        train = subsample(train, hparams.subsample_fraction, seed)
    if hparams.blur_factor is not None:
        train = replace(train, images=blur(train.images, hparams.blur_factor))
    if hparams.unsupervised_labels == "rotation":
        classes = QUARTER_TURNS
        train, test = turned(train, seed, "train"), turned(test, seed, "test")
        validation = None if validation is None else turned(validation, seed, "validation")
    if hparams.random_labels_fraction is not None:
        labels = random_labels(train.labels, hparams.random_labels_fraction, classes, seed)
        train = replace(train, labels=labels)
    return train, validation, test, classes


def part_of(count: int, fraction: float) -> int:
    """``fraction`` of ``count``, rounded up; exact, where ``0.07 * 100`` is more than 7."""
    return math.ceil(Fraction(str(fraction)) * count)


def held_out(split: Split, fraction: float, *key: str | int) -> tuple[Split, Split]:
    """The examples without, and those of, a fraction of each class (rounded to the nearest)."""
    out = torch.zeros(len(split), dtype=torch.bool)
    for label in torch.unique(split.labels).tolist():
        members = torch.nonzero(split.labels == label).flatten()
        order = torch.randperm(len(members), generator=generator(*key, label))
        out[members[order[: round(Fraction(str(fraction)) * len(members))]]] = True
    return split.take(torch.nonzero(~out).flatten()), split.take(torch.nonzero(out).flatten())


def subsample(split: Split, fraction: float, seed: int) -> Split:
    """A fraction of the examples (rounded up), in their old order.

    The smaller of two subsamples with one seed is part of the larger.
    """
    order = torch.randperm(len(split), generator=generator(seed, "subsample"))
    return split.take(order[: part_of(len(split), fraction)].sort().values)


def random_labels(labels: Tensor, fraction: float, classes: int, seed: int) -> Tensor:
    """The labels, a fraction of them (rounded up) drawn anew; a draw may be the old label."""
    count = len(labels)
    values = torch.randint(classes, (count,), generator=generator(seed, "random label values"))
    order = torch.randperm(count, generator=generator(seed, "random label positions"))
    chosen = order[: part_of(count, fraction)]
    return labels.index_put((chosen,), values[chosen])


def turned(split: Split, seed: int, name: str) -> Split:
    """The rotation task: images turned counterclockwise by 0 to 3 quarter turns, their labels.

    Raises:
        UserError: The images are not square.
    """
    height, width = split.images.shape[2:]
    if height != width:
        raise UserError(
            "unsupervised_labels='rotation' is not allowed: it turns images on their side, and "
            f"these are {height}x{width}. Use --image_size to make them square."
        )
    turns = torch.randint(
        QUARTER_TURNS, (len(split),), generator=generator(seed, "rotation task", name)
    )
    pixels = pixel_major(split.images).clone()
    for count in range(1, QUARTER_TURNS):
        chosen = torch.nonzero(turns == count).flatten()
        pixels[chosen] = torch.rot90(pixels[chosen], count, (1, 2))
    return Split(pixels.permute(0, 3, 1, 2), turns, sideways=turns % 2 == 1)


def blur(images: Tensor, factor: int) -> Tensor:
    """Images made smaller by a factor, and as large as before: bilinear, at least one pixel left.

    Args:
        images: uint8, (N, C, H, W).
        factor: By how much; 1 changes nothing.
    """
    if factor == 1:
        return images
    size = images.shape[2:]
    small = [max(1, side // factor) for side in size]
    parts = []
    for part in torch.split(
        images, _CHUNK
    ):  # floats of the whole data set would take four times its room
        less = interpolate(part.float(), small, mode="bilinear", antialias=True)
        again = interpolate(less, size, mode="bilinear", antialias=True)
        parts.append(pixel_major(again.round().clamp(0, 255).to(torch.uint8)))
    return torch.cat(parts).permute(0, 3, 1, 2)


def _refuse_empty(train: Split, validation: Split, fraction: float) -> None:
    if not (len(train) and len(validation)):
        raise UserError(
            f"validation_fraction={fraction} is not allowed: it leaves {len(train)} examples for "
            f"training and {len(validation)} for validation."
        )
