"""In which order and form a network gets its examples.

All that is random in an epoch is drawn before its first batch. Of a data set in memory it is moved
to the device once, and after that nothing waits for the device. Of one that stays in its files the
images of a batch are moved; where in an epoch one begins, nothing is read that comes before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from datasets.augment import draw
from datasets.dataset import Augmentation
from datasets.normalize import normalize
from datasets.scoring import per_class_numbers, scoring_batches
from datasets.sources import WHOLE, Portion, parts, source
from foundations.draws import generator

__all__ = ["EvalLoader", "TrainLoader", "examples_per_class", "scoring_batches"]

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
        portion: Which part of each batch.
    """

    def __init__(
        self,
        data: Data,
        hparams: DatasetHparams,
        *,
        order_seed: int,
        device: torch.device | str,
        memory_format: torch.memory_format = torch.contiguous_format,
        portion: Portion = WHOLE,
    ) -> None:
        self.batch_size, self.order_seed, self.portion = hparams.batch_size, order_seed, portion
        self.device = torch.device(device)
        self.augmentation = hparams.augmented(data.augmentation)
        self._labels = data.train.labels.to(self.device)
        self._source = source(data.train, self.augmentation, self.device)
        self._normalize = normalize(data.mean, data.std, data.shape[2], self.device, memory_format)

    @property
    def examples(self) -> int:
        """How many training examples there are."""
        return len(self._labels)

    @property
    def iterations_per_epoch(self) -> int:
        """How many batches an epoch has, a last one that is not full included."""
        return -(-self.examples // self.batch_size)

    def size(self, position: int) -> int:
        """How many examples there are in a batch of an epoch, in all of its portions."""
        return min(self.batch_size, self.examples - position * self.batch_size)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from position ``first`` on.

        They are the same, bit for bit, whether or not those before were drawn.
        """
        begin = first * self.batch_size
        order = torch.randperm(self.examples, generator=generator(self.order_seed, "order", epoch))
        draws = self._draws(epoch, order)
        order, draws = order[begin:], None if draws is None else draws[begin:]
        labels = self._labels.index_select(0, order.to(self.device))
        places = [self.portion.within(batch) for batch in parts(len(order), self.batch_size)]
        pixels = self._source.batches(order, places, draws)
        for part in places:
            yield self._normalize(next(pixels)), labels[part]

    def _draws(self, epoch: int, order: Tensor) -> Draws | None:
        """The draws of an epoch; None where nothing is augmented."""
        if self.augmentation.off:
            return None
        labels = self._labels.cpu()[order] if self.augmentation.rotation_labels else None
        return draw(
            self.augmentation, len(order), order_seed=self.order_seed, epoch=epoch, labels=labels
        )


class EvalLoader:
    """The examples of a split as they are, in their order; it can be gone through many times.

    Args:
        split: Which examples, on any device.
        data: The data set they are of.
        batch_size: How many at once.
        device: Where the batches are made.
        memory_format: How their images lie in memory.
        portion: Of several processes each has every how-manieth batch.
    """

    def __init__(
        self,
        split: Split,
        data: Data,
        *,
        batch_size: int,
        device: torch.device | str,
        memory_format: torch.memory_format = torch.contiguous_format,
        portion: Portion = WHOLE,
    ) -> None:
        device = torch.device(device)
        self._portion = portion
        self.batch_size = batch_size
        self._labels = split.labels.to(device)
        self._source = source(split, Augmentation(), device)
        self._normalize = normalize(data.mean, data.std, data.shape[2], device, memory_format)

    @property
    def examples(self) -> int:
        """How many examples there are."""
        return len(self._labels)

    def __iter__(self) -> Iterator[Batch]:
        places = list(parts(self.examples, self.batch_size))
        places = places[self._portion.index :: self._portion.of]
        pixels = self._source.every(places)
        for part in places:
            yield self._normalize(next(pixels)), self._labels[part]


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
    chosen = per_class_numbers(data, count, seed)
    split = data.train.take(chosen.to(data.train.labels.device))
    loader = EvalLoader(
        split, data, batch_size=batch_size, device=device, memory_format=memory_format
    )
    return list(loader)
