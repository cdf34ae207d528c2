"""The loaders: order, augmentation, batches that do not depend on how they are asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.augment import PixelTable, augmented, draw
from datasets.data import Data, Split, pixel_major
from datasets.dataset import Augmentation
from datasets.hparams import DatasetHparams
from datasets.loader import EvalLoader, TrainLoader, examples_per_class
from tests.datasets.samples import random_content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


def hparams(batch_size: int, **others: object) -> DatasetHparams:
    """Hyperparameters with this batch size."""
    return DatasetHparams.from_dict({"dataset_name": "cifar10", "batch_size": batch_size} | others)


def loader(data: Data, batch_size: int, seed: int = 7, **others: object) -> TrainLoader:
    """A loader on the CPU."""
    return TrainLoader(data, hparams(batch_size, **others), order_seed=seed, device="cpu")


def all_of(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The batches in one piece."""
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def numbered(count: int) -> Data:
    """A data set whose images say which one they are, not normalized but divided by 255."""
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    split = Split(images.contiguous(), torch.arange(count) % 3)
    return Data("numbered", 3, (1, 2, 2), (0.0,), (1.0,), Augmentation(), split, None, split)


def which(images: Tensor) -> list[int]:
    """Which images of a numbered data set these are."""
    return [round(value) for value in (images[:, 0, 0, 0] * 255).tolist()]


def test_an_epoch_has_every_example_once_and_keeps_a_last_partial_batch() -> None:
    """30 examples in batches of 8 are 4 batches, the last of 6, each image with its label."""
    train = loader(numbered(30), 8)
    batches = list(train.epoch(0))
    assert train.examples == 30
    assert train.iterations_per_epoch == len(batches) == 4
    assert [len(labels) for _, labels in batches] == [8, 8, 8, 6]
    images, labels = all_of(batches)
    assert sorted(which(images)) == list(range(30))
    assert [number % 3 for number in which(images)] == labels.tolist()


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    """Another epoch or seed has another order; the same ones the same, in any order of asking."""
    data = numbered(30)
    train = loader(data, 8)
    first, second, again = (which(all_of(train.epoch(epoch))[0]) for epoch in (0, 1, 0))
    assert first == again
    assert first != second
    assert first != which(all_of(loader(data, 8, seed=8).epoch(0))[0])
    assert first != list(range(30))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 31), st.integers(0, 30), st.integers(0, 3), st.sampled_from([0, 20]))
def test_batches_from_a_position_on_do_not_depend_on_those_before(
    batch_size: int, first: int, epoch: int, angle: int
) -> None:
    """A resumed epoch gives the same batches, bit for bit."""
    train = loader(colored(), batch_size, augment_rotation=angle)
    whole, rest = list(train.epoch(epoch)), list(train.epoch(epoch, first))
    assert len(rest) == max(0, len(whole) - first)
    for (left, left_labels), (right, right_labels) in zip(whole[first:], rest, strict=True):
        assert torch.equal(left, right)
        assert torch.equal(left_labels, right_labels)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 31), st.integers(1, 31), st.sampled_from(["zero", "reflect"]))
def test_order_and_augmentation_do_not_depend_on_the_batch_size(
    left: int, right: int, mode: str
) -> None:
    """Batches of any size put together are the same epoch, bit for bit."""
    one, other = (
        all_of(loader(colored(), size, augment_crop_mode=mode, augment_rotation=5).epoch(2))
        for size in (left, right)
    )
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


def test_an_epoch_is_its_order_and_its_draws_put_together() -> None:
    """Position i of the epoch gets draw i: image, augmentation and label belong together."""
    data = colored()
    images, labels = all_of(loader(data, 7).epoch(3))
    plain, plain_labels = all_of(loader(data, 7, do_not_augment=True).epoch(3))
    assert torch.equal(labels, plain_labels)
    source = pixel_major(data.train.images)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (data.mean, data.std))
    pixels = ((plain * std + mean) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    order = torch.tensor(
        [int((source == image).flatten(1).all(1).nonzero().item()) for image in pixels]
    )
    draws = draw(data.augmentation, 30, order_seed=7, epoch=3)
    expected = augmented(PixelTable.of(source), order, draws, data.augmentation)
    found = ((images * std + mean) * 255).round().to(torch.uint8)
    assert torch.equal(found, expected.permute(0, 3, 1, 2))
    assert not torch.equal(images, plain)


def test_the_rotation_task_mirrors_sideways_images_along_their_own_axis() -> None:
    """Images on their side are mirrored top to bottom, the others left to right."""
    data = colored((3, 4, 4), Augmentation(flip=True))
    sideways = torch.arange(30) % 2 == 0
    data = replace(data, train=replace(data.train, sideways=sideways))
    flipped, plain = (
        all_of(loader(data, 30, do_not_augment=still).epoch(0))[0] for still in (False, True)
    )
    labels = all_of(loader(numbered(30), 30).epoch(0))[0]
    kinds = {False: 0, True: 0}
    for position, example in enumerate(which(labels)):
        on_side = bool(sideways[example])
        if not torch.equal(flipped[position], plain[position]):
            assert torch.equal(flipped[position], plain[position].flip(1 if on_side else 2))
            kinds[on_side] += 1
    assert min(kinds.values()) > 2


@pytest.mark.parametrize("angle", [0, 20])
def test_the_layout_in_memory_changes_no_value(data: Data, angle: int) -> None:
    """Channels-last batches hold the same values, and lie as they were asked to."""
    asked = hparams(8, augment_rotation=angle)
    plain = TrainLoader(data, asked, order_seed=1, device="cpu")
    last = TrainLoader(data, asked, order_seed=1, device="cpu", memory_format=torch.channels_last)
    for (left, _), (right, _) in zip(plain.epoch(0), last.epoch(0), strict=True):
        assert left.is_contiguous()
        assert right.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(left, right)
        assert left.dtype == torch.float32


def test_drawing_batches_leaves_the_data_alone(data: Data) -> None:
    """The images of a data set are never changed in place."""
    before = data.train.images.clone()
    list(loader(data, 8, augment_rotation=10).epoch(0))
    list(EvalLoader(data.train, data, batch_size=8, device="cpu"))
    assert torch.equal(data.train.images, before)


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
def test_evaluation_sees_every_example_in_order_at_any_batch_size(
    data: Data, batch_size: int
) -> None:
    """No example is left out or changed, and it can be gone through again."""
    loader = EvalLoader(data.test, data, batch_size=batch_size, device="cpu")
    images, labels = all_of(loader)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (data.mean, data.std))
    assert loader.examples == 12
    assert torch.equal(labels, data.test.labels)
    torch.testing.assert_close(images, (data.test.images / 255 - mean) / std)
    assert torch.equal(all_of(loader)[0], images)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_examples_per_class_are_so_many_of_each(data: Data, count: int) -> None:
    """Each class has its count, in batches, un-augmented and without a repeated example."""
    batches = examples_per_class(data, count, seed=5, batch_size=4, device="cpu")
    images, labels = all_of(batches)
    assert torch.bincount(labels).tolist() == [count] * 3
    assert [len(part) for _, part in batches[:-1]] == [4] * (len(batches) - 1)
    everything = all_of(EvalLoader(data.train, data, batch_size=99, device="cpu"))[0]
    matches = [(everything == image).flatten(1).all(1).nonzero().item() for image in images]
    assert len(set(matches)) == len(matches)
    assert torch.equal(data.train.labels[torch.tensor(matches)], labels)


def test_examples_per_class_are_nested_keyed_and_all_there_are() -> None:
    """A smaller count is part of a larger one; a class with too few gives them all."""
    data = numbered(30)

    def chosen(count: int, seed: int) -> set[int]:
        batches = examples_per_class(data, count, seed=seed, batch_size=4, device="cpu")
        return set(which(all_of(batches)[0]))

    assert chosen(2, 1) < chosen(5, 1)
    assert chosen(2, 1) != chosen(2, 2)
    assert chosen(99, 1) == set(range(30))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_an_epoch_on_a_gpu_never_waits_and_equals_the_cpus() -> None:
    """After the first batch nothing synchronizes, and the pixels are those of the CPU."""
    data = colored()
    cpu = [images for images, _ in loader(data, 8).epoch(0)]
    train = TrainLoader(data, hparams(8), order_seed=7, device="cuda")
    batches = train.epoch(0)
    found = [next(batches)[0]]
    torch.cuda.set_sync_debug_mode("error")
    try:
        found += [images for images, _ in batches]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for left, right in zip(cpu, found, strict=True):
        assert torch.equal(left, right.cpu())


def colored(
    shape: tuple[int, int, int] = (3, 6, 8),
    augmentation: Augmentation = Augmentation(crop=2, flip=True),  # noqa: B008 - frozen
) -> Data:
    """A small data set in color."""
    content = random_content(shape)
    return Data(
        "small",
        3,
        shape,
        (0.4, 0.5, 0.6),
        (0.2, 0.25, 0.3),
        augmentation,
        content.train,
        None,
        content.test,
    )
