"""Where the pixels of a batch come from: a tensor on the device, or files that workers read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Protocol

import torch

from datasets.augment import Draws, PixelTable, augmented
from datasets.data import pixel_major
from datasets.reading import Request
from datasets.streamed import Streamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from datasets.data import Split
    from datasets.dataset import Augmentation
    from datasets.streamed import ImageFiles

CHUNK = 32
"""Images that a process reads at a time: a batch is shared out, and leaving off wastes little."""


class Source(Protocol):
    """Gives the images of batches: uint8, (B, H, W, C), on the device."""

    def batches(
        self, numbers: Tensor, places: Sequence[slice], draws: Draws | None
    ) -> Iterator[Tensor]:
        """Batches of these examples; one may be empty.

        Args:
            numbers: int64, (N,), on the CPU: which examples, in order.
            places: Of each batch, among them, rising.
            draws: How each example is augmented, in the same order; None: not at all.
        """

    def every(self, places: Sequence[slice]) -> Iterator[Tensor]:
        """Batches of the examples as they are, in their order, by their places in it."""


def source(split: Split, augmentation: Augmentation, device: torch.device) -> Source:
    """The source of a split.

    Args:
        split: Which examples.
        augmentation: How they are augmented, where draws are given.
        device: Where the batches shall be.
    """
    if isinstance(split, Streamed):
        return _FromFiles(split.files, split.images.shape[1:], augmentation, device)
    return _InMemory(split, augmentation, device)


@dataclass(frozen=True)
class Portion:
    """What one of several processes, which train together, has of everything.

    Args:
        index: Which of them, from 0.
        of: How many they are.
    """

    index: int = 0
    of: int = 1

    def within(self, batch: slice) -> slice:
        """Its part of a batch: they follow each other, and differ by one example at most."""
        count = batch.stop - batch.start
        begin, end = (count * index // self.of for index in (self.index, self.index + 1))
        return slice(batch.start + begin, batch.start + end)

    def sizes(self, count: int) -> list[int]:
        """How many examples each of them has of a batch of ``count``."""
        cuts = [count * index // self.of for index in range(self.of + 1)]
        return [end - begin for begin, end in pairwise(cuts)]


WHOLE = Portion()
"""That of a process that trains alone."""


def parts(count: int, size: int) -> Iterator[slice]:
    """``count`` positions in parts of ``size``; the last may be smaller."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


class _InMemory:
    """All images lie on the device."""

    def __init__(self, split: Split, augmentation: Augmentation, device: torch.device) -> None:
        split = split.to(device)
        self._augmentation, self._device = augmentation, device
        self._images, self._sideways = pixel_major(split.images), split.sideways
        self._table = None if augmentation.off else PixelTable.of(self._images)

    def batches(
        self, numbers: Tensor, places: Sequence[slice], draws: Draws | None
    ) -> Iterator[Tensor]:
        numbers = numbers.to(self._device)
        draws = None if draws is None else draws.to(self._device)
        for part in places:
            yield self._take(numbers[part], None if draws is None else draws[part])

    def every(self, places: Sequence[slice]) -> Iterator[Tensor]:
        for part in places:
            yield self._images[part]

    def _take(self, numbers: Tensor, draws: Draws | None) -> Tensor:
        if self._table is None or draws is None or not len(numbers):
            return self._images.index_select(0, numbers)
        sideways = None if self._sideways is None else self._sideways.index_select(0, numbers)
        return augmented(self._table, numbers, draws, self._augmentation, sideways)


class _FromFiles:
    """Images are decoded, and augmented, when they are needed."""

    def __init__(
        self,
        files: ImageFiles,
        framed: Sequence[int],
        augmentation: Augmentation,
        device: torch.device,
    ) -> None:
        self._files, self._augmentation, self._device = files, augmentation, device
        self._none = torch.empty((0, *framed[1:], framed[0]), dtype=torch.uint8)

    def batches(
        self, numbers: Tensor, places: Sequence[slice], draws: Draws | None
    ) -> Iterator[Tensor]:
        pieces = [
            slice(batch.start + piece.start, batch.start + piece.stop)
            for batch in places
            for piece in parts(batch.stop - batch.start, CHUNK)
        ]
        requests = (
            self._request(numbers[piece], None if draws is None else draws[piece])
            for piece in pieces
        )
        answers = self._files.workers.map(requests)
        for batch in places:
            count = -(-(batch.stop - batch.start) // CHUNK)
            read = [torch.from_numpy(pixels) for pixels in islice(answers, count)]
            yield self._moved(torch.cat(read or [self._none]))

    def every(self, places: Sequence[slice]) -> Iterator[Tensor]:
        return self.batches(torch.arange(len(self._files.names)), places, None)

    def _request(self, numbers: Tensor, draws: Draws | None) -> Request:
        paths, framing = self._files.paths(numbers), self._files.framing
        if draws is None:
            return Request(paths, framing)
        return Request(
            paths,
            framing,
            self._augmentation,
            tuple(numbers.tolist()),
            draws.arrays(),
            draws.key,
        )

    def _moved(self, pixels: Tensor) -> Tensor:
        """The pixels on the device, without waiting for what it does."""
        if self._device.type != "cuda":
            return pixels.to(self._device)
        return pixels.pin_memory().to(self._device, non_blocking=True)
