"""In which order and form a network gets its examples.

All that is random in an epoch is drawn before its first batch and moved to the device once. After
that nothing waits for the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from datasets.augment import PixelTable, augmented, draw
from datasets.data import pixel_major
from datasets.normalize import normalize
from foundations.draws import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from datasets.augment import Draws
    from datasets.data import Data, Split
    from datasets.hparams import DatasetHparams

    Batch = tuple[Tensor, Tensor]
    """Images, float32 (B, C, H, W), normalized; and labels, int64 (B,)."""


class TrainLoader:
    """The training examples, in an order of its own for every epoch, augmented.

    Args:
        data: What to train on, on any device.
        hparams: The size of a batch; and flags that change the augmentation of ``data``.
        order_seed: The seed of order and augmentation.
        device: Where the batches are made.
        memory_format: How their images lie in memory.
    """

    def __init__(
        self,
        data: Data,
        hparams: DatasetHparams,
        *,
        order_seed: int,
        device: torch.device | str,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.batch_size, self.order_seed = hparams.batch_size, order_seed
        self.device = torch.device(device)
        self.augmentation = hparams.augmented(data.augmentation)
        split = data.train.to(self.device)
        self._labels, self._sideways = split.labels, split.sideways
        self._images = pixel_major(split.images)
        self._table = None if self.augmentation.off else PixelTable.of(self._images)
        self._normalize = normalize(data.mean, data.std, data.shape[2], self.device, memory_format)

    @property
    def examples(self) -> int:
        """How many training examples there are."""
        return len(self._labels)

    @property
    def iterations_per_epoch(self) -> int:
        """How many batches an epoch has, a last one that is not full included."""
        return -(-self.examples // self.batch_size)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position ``first`` on.

        They are the same, bit for bit, whether or not those before were drawn.
        """
        order = torch.randperm(
            self.examples, generator=generator(self.order_seed, "order", epoch)
        ).to(self.device)
        draws = self._draws(epoch)
        for start in range(first * self.batch_size, self.examples, self.batch_size):
            part = slice(start, start + self.batch_size)
            indices = order[part]
            images = self._take(indices, None if draws is None else draws[part])
            yield self._normalize(images), self._labels.index_select(0, indices)

    def _draws(self, epoch: int) -> Draws | None:
        """The draws of an epoch, on the device; None where nothing is augmented."""
        if self._table is None:
            return None
        drawn = draw(self.augmentation, self.examples, order_seed=self.order_seed, epoch=epoch)
        return drawn.to(self.device)

    def _take(self, indices: Tensor, draws: Draws | None) -> Tensor:
        """Some of the images, augmented: uint8, (B, H, W, C)."""
        if self._table is None or draws is None:
            return self._images.index_select(0, indices)
        sideways = None if self._sideways is None else self._sideways.index_select(0, indices)
        return augmented(self._table, indices, draws, self.augmentation, sideways)


class EvalLoader:
    """The examples of a split as they are, in their order; it can be gone through many times.

    Args:
        split: Which examples, on any device.
        data: The data set they are of.
        batch_size: How many at once.
        device: Where the batches are made.
        memory_format: How their images lie in memory.
    """

    def __init__(
        self,
        split: Split,
        data: Data,
        *,
        batch_size: int,
        device: torch.device | str,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        device = torch.device(device)
        self.batch_size = batch_size
        split = split.to(device)
        self._images, self._labels = pixel_major(split.images), split.labels
        self._normalize = normalize(data.mean, data.std, data.shape[2], device, memory_format)

    @property
    def examples(self) -> int:
        """How many examples there are."""
        return len(self._labels)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, self.examples, self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self._normalize(self._images[part]), self._labels[part]


def examples_per_class(
    data: Data,
    count: int,
    *,
    seed: int,
    batch_size: int,
    device: torch.device | str,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> list[Batch]:
    """The first ``count`` training examples of each class along a keyed permutation.

    They are not augmented, come in the order of the permutation, and are all there are of a class
    that has fewer.
    """
    order = torch.randperm(len(data.train), generator=generator(seed, "examples per class"))
    labels = data.train.labels.cpu()[order]
    firsts = [torch.nonzero(labels == label).flatten()[:count] for label in range(data.classes)]
    chosen = order[torch.cat(firsts).sort().values]
    split = data.train.take(chosen.to(data.train.labels.device))
    loader = EvalLoader(
        split, data, batch_size=batch_size, device=device, memory_format=memory_format
    )
    return list(loader)
