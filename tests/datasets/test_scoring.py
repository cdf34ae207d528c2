"""What criteria score on: so many examples, in batches that are the same whenever taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from datasets.augment import PixelTable, augmented, draw
from datasets.data import pixel_major
from datasets.hparams import DatasetHparams
from datasets.loader import EvalLoader, examples_per_class, scoring_batches
from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from datasets.data import Data
    from datasets.loader import Batch

HPARAMS = DatasetHparams(dataset_name="cifar10", batch_size=99)


def scoring(data: Data, **asked: Any) -> Sequence[Batch]:
    """Batches of 4 on the CPU."""
    settings: dict[str, Any] = {"batch_size": 4, "seed": 5, "device": "cpu"}
    return scoring_batches(data, HPARAMS, **settings | asked)


def all_of(batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """The batches in one piece."""
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def which(data: Data, images: Tensor) -> list[int]:
    """Which training examples these are."""
    every = all_of(EvalLoader(data.train, data, batch_size=99, device="cpu"))[0]
    return [int((every == image).flatten(1).all(1).nonzero().item()) for image in images]


def test_so_many_of_each_class_are_those_of_the_loader(data: Data) -> None:
    """The same batches, bit for bit, so that earlier runs keep their scores."""
    expected = examples_per_class(data, 3, seed=5, batch_size=4, device="cpu")
    found = scoring(data, per_class=3)
    assert len(found) == len(expected) == 3
    for (left, left_labels), (right, right_labels) in zip(found, expected, strict=True):
        assert torch.equal(left, right)
        assert torch.equal(left_labels, right_labels)


def test_so_many_examples_and_so_many_batches_follow_one_permutation(data: Data) -> None:
    """Two batches are eight examples; fewer are the first of more; none comes twice."""
    images, labels = all_of(scoring(data, examples=8))
    assert torch.equal(all_of(scoring(data, batches=2))[0], images)
    more = scoring(data, examples=10)
    assert [len(part) for _, part in more] == [4, 4, 2]
    assert torch.equal(all_of(more)[0][:8], images)
    chosen = which(data, images)
    assert len(set(chosen)) == 8
    assert torch.equal(data.train.labels[torch.tensor(chosen)], labels)
    assert which(data, all_of(scoring(data, examples=8, seed=6))[0]) != chosen


def test_they_can_be_taken_in_any_way_and_any_number_of_times(data: Data) -> None:
    """Twice, two at a time, by number, by slices: always the same bits."""
    batches = scoring(data, examples=10, augmented=True)
    first = [images for images, _ in batches]
    assert len(batches) == 3
    assert all(torch.equal(a, b) for a, (b, _) in zip(first, batches, strict=True))
    assert torch.equal(batches[-1][0], first[2])
    assert [len(labels) for _, labels in batches[1:]] == [4, 2]
    assert torch.equal(batches[::-1][0][0], first[2])
    for (left, _), (right, _) in zip(batches, batches, strict=True):
        assert torch.equal(left, right)
    with pytest.raises(IndexError):
        batches[3]


def test_augmented_examples_are_the_same_examples_augmented_by_a_key(data: Data) -> None:
    """Against the augmentation of the same images by the draws of that key."""
    plain, labels = all_of(scoring(data, examples=30, batch_size=7))
    found, theirs = all_of(scoring(data, examples=30, batch_size=7, augmented=True))
    assert torch.equal(labels, theirs)
    order = torch.tensor(which(data, plain))
    purpose = "scoring augmentation"
    draws = draw(data.augmentation, 30, order_seed=5, epoch=0, purpose=purpose)
    table = PixelTable.of(pixel_major(data.train.images))
    expected = augmented(table, order, draws, data.augmentation).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (data.mean, data.std))
    assert torch.equal(((found * std + mean) * 255).round().to(torch.uint8), expected)
    assert not torch.equal(found, plain)


@pytest.mark.parametrize("asked", [{"examples": 31}, {"batches": 9}])
def test_more_than_there_is_is_refused(data: Data, asked: dict[str, int]) -> None:
    """Thirty examples are eight batches of four; a ninth would be empty."""
    assert len(scoring(data, batches=8)) == 8
    with pytest.raises(UserError, match="30"):
        scoring(data, **asked)


@pytest.mark.parametrize("asked", [{}, {"examples": 3, "batches": 3}, {"per_class": 0}])
def test_exactly_one_number_is_asked_for(data: Data, asked: dict[str, int]) -> None:
    """Anything else is a mistake of the caller."""
    with pytest.raises(ValueError, match="exactly one"):
        scoring(data, **asked)


def test_the_layout_in_memory_is_the_one_asked_for(data: Data) -> None:
    """Channels last, with the same values."""
    plain = scoring(data, batches=1)
    last = scoring(data, batches=1, memory_format=torch.channels_last)
    assert last[0][0].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(last[0][0], plain[0][0])
