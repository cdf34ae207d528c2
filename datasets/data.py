"""A data set in memory: images and labels as two tensors for each split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from datasets.dataset import Augmentation


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Args:
        images: uint8, (N, C, H, W). What is loaded lies in memory pixel by pixel (channels last).
        labels: int64, (N,).
        sideways: bool, (N,), in the rotation task only: which images lie on their side. Their
            mirror image swaps top and bottom, so that it still has its label.
    """

    images: Tensor
    labels: Tensor
    sideways: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> Split:
        """The examples at ``indices``, in that order."""
        pixels = self.images.permute(0, 2, 3, 1)[indices]
        sideways = None if self.sideways is None else self.sideways[indices]
        return Split(pixels.permute(0, 3, 1, 2), self.labels[indices], sideways)

    def to(self, device: torch.device | str) -> Split:
        """The same on a device."""
        sideways = None if self.sideways is None else self.sideways.to(device)
        return Split(self.images.to(device), self.labels.to(device), sideways)


@dataclass(frozen=True)
class Content:
    """What the files of a data set hold."""

    train: Split
    test: Split


@dataclass(frozen=True)
class Data:
    """A data set as a run uses it, its transforms applied.

    Args:
        name: The name of the data set.
        classes: The number of classes of the task.
        shape: Channels, height and width.
        mean: Of each channel, of pixels from 0 to 1: what normalization subtracts.
        std: Of each channel: what normalization divides by.
        augmentation: What training images go through.
        train: What is trained on.
        validation: What was held out of the training images, if anything.
        test: What is tested on.
    """

    name: str
    classes: int
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation
    train: Split
    validation: Split | None
    test: Split

    def to(self, device: torch.device | str) -> Data:
        """The same on a device."""
        validation = None if self.validation is None else self.validation.to(device)
        return replace(
            self, train=self.train.to(device), validation=validation, test=self.test.to(device)
        )


def pixel_major(images: Tensor) -> Tensor:
    """Images (N, C, H, W) as (N, H, W, C), contiguous; no copy if they lie so in memory."""
    return images.permute(0, 2, 3, 1).contiguous()
