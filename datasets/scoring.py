"""Which training examples a criterion looks at, and in which batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import torch

from datasets.augment import draw
from datasets.dataset import Augmentation
from datasets.normalize import normalize
from datasets.sources import parts, source
from foundations.draws import generator
from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from datasets.augment import Draws
    from datasets.data import Data
    from datasets.hparams import DatasetHparams
    from datasets.loader import Batch
    from datasets.normalize import Normalize
    from datasets.sources import Source


def scoring_batches(
    data: Data,
    hparams: DatasetHparams,
    *,
    per_class: int | None = None,
    examples: int | None = None,
    batches: int | None = None,
    batch_size: int,
    seed: int,
    augmented: bool = False,
    device: torch.device | str,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Sequence[Batch]:
    """Batches of training examples, drawn by a key; made when they are taken, always the same.

    Exactly one of ``per_class``, ``examples`` and ``batches`` is given. A smaller number of either
    is part of a larger one; so many batches hold the same examples as that many times
    ``batch_size`` examples.

    Args:
        data: What is trained on.
        hparams: Flags that change the augmentation of ``data``.
        per_class: So many of each class, or all there are of a class that has fewer.
        examples: So many of all.
        batches: So many batches; the last may be smaller, if it is the last of all examples.
        batch_size: How many examples make a batch; the last may be smaller.
        seed: The seed of the choice, and of the augmentation.
        augmented: Whether the images are augmented; each in one way, however often it is taken.
        device: Where the batches are made.
        memory_format: How their images lie in memory.

    Returns:
        Images, float32 (B, C, H, W), normalized; and labels, int64 (B,).

    Raises:
        UserError: There are not so many training examples.
    """
    asked = [value for value in (per_class, examples, batches) if value is not None]
    if len(asked) != 1 or asked[0] < 1:
        raise ValueError("exactly one of per_class, examples and batches is given, 1 or more")
    if per_class is not None:
        numbers = per_class_numbers(data, per_class, seed)
    else:
        numbers = _first(data, examples, batches, batch_size, seed)
    augmentation = hparams.augmented(data.augmentation) if augmented else Augmentation()
    device = torch.device(device)
    return _Scoring(
        source(data.train, augmentation, device),
        numbers,
        data.train.labels.cpu()[numbers].to(device),
        _draws(augmentation, data.train.labels.cpu()[numbers], seed),
        normalize(data.mean, data.std, data.shape[2], device, memory_format),
        batch_size,
    )


def per_class_numbers(data: Data, count: int, seed: int) -> Tensor:
    """The first ``count`` training examples of each class along a keyed permutation, in its order.

    Returns:
        int64, (N,): their numbers.
    """
    order = torch.randperm(len(data.train), generator=generator(seed, "examples per class"))
    labels = data.train.labels.cpu()[order]
    firsts = [torch.nonzero(labels == label).flatten()[:count] for label in range(data.classes)]
    return order[torch.cat(firsts).sort().values]


def _first(
    data: Data, examples: int | None, batches: int | None, batch_size: int, seed: int
) -> Tensor:
    """The first examples along a keyed permutation."""
    there = len(data.train)
    if examples is not None and examples > there:
        raise UserError(
            f"{examples:,} training examples to score on are not allowed: there are {there:,}."
        )
    if batches is not None and batches > -(-there // batch_size):
        raise UserError(
            f"{batches:,} batches of {batch_size:,} to score on are not allowed: there are "
            f"{there:,} training examples."
        )
    count = examples if examples is not None else (batches or 0) * batch_size
    return torch.randperm(there, generator=generator(seed, "scoring examples"))[:count]


def _draws(augmentation: Augmentation, labels: Tensor, seed: int) -> Draws | None:
    if augmentation.off:
        return None
    return draw(
        augmentation,
        len(labels),
        order_seed=seed,
        epoch=0,
        purpose="scoring augmentation",
        labels=labels,
    )


class _Scoring(Sequence["Batch"]):
    """Batches that are made when they are taken."""

    def __init__(
        self,
        pixels: Source,
        numbers: Tensor,
        labels: Tensor,
        draws: Draws | None,
        normalized: Normalize,
        batch_size: int,
    ) -> None:
        self._source, self._numbers, self._labels = pixels, numbers, labels
        self._draws, self._normalize, self._batch_size = draws, normalized, batch_size

    def __len__(self) -> int:
        return len(range(0, len(self._numbers), self._batch_size))

    def __iter__(self) -> Iterator[Batch]:
        return self._made(range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Batch]: ...
    def __getitem__(self, index: int | slice) -> Batch | list[Batch]:
        chosen = range(len(self))[index]
        if isinstance(chosen, range):
            return [self[at] for at in chosen]
        return next(self._made(range(chosen, chosen + 1)))

    def _made(self, which: range) -> Iterator[Batch]:
        """Batches that follow each other."""
        size = self._batch_size
        part = slice(which.start * size, which.stop * size)
        numbers, labels = self._numbers[part], self._labels[part]
        draws = None if self._draws is None else self._draws[part]
        places = list(parts(len(numbers), size))
        pixels = self._source.batches(numbers, places, draws)
        for place in places:
            yield self._normalize(next(pixels)), labels[place]
