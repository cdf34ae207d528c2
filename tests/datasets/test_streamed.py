"""Data sets that stay in their files: like those in memory, but nothing is read in advance."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as reference

from datasets import DATASETS, reading
from datasets.augment import draw
from datasets.data import Data, Split
from datasets.folders import pin
from datasets.hparams import DatasetHparams
from datasets.load import load
from datasets.loader import EvalLoader, TrainLoader, examples_per_class
from datasets.pictures import CROP_DRAWS, decoded, framed, region
from datasets.streamed import ImageFiles, Streamed
from datasets.workers import Workers
from foundations.draws import generator
from foundations.errors import DamageError, UserError
from tests.datasets.samples import WNIDS, picture, picture_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

TRAIN, VAL = 36, 15


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, of 12 images for training and 5 for testing each, that lose nothing."""
    return picture_folder(tmp_path_factory.mktemp("images"), suffix=".png")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Two processes."""
    two = Workers(2)
    yield two
    two.close()


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are decoded in this process, in order."""
    seen: list[str] = []

    def noted(path: str) -> Any:
        seen.append(Path(path).name)
        return decoded(path)

    monkeypatch.setattr(reading, "decoded", noted)
    return seen


def hparams(folder: Path, name: str = "tinyimagenet", **others: Any) -> DatasetHparams:
    """Hyperparameters of this folder, pinned."""
    given = {"dataset_name": name, "batch_size": 8, "folder": str(folder)} | others
    return pin(DatasetHparams.from_dict(given), Path("/nowhere"))


def loaded(folder: Path, name: str = "tinyimagenet", **others: Any) -> Data:
    """The data set of this folder."""
    return load(hparams(folder, name, **others), seed=1, root=Path("/nowhere"))


def train(data: Data, folder: Path, **others: object) -> TrainLoader:
    """A loader on the CPU."""
    asked = hparams(folder, data.name, **others)
    return TrainLoader(data, asked, order_seed=7, device="cpu")


def all_of(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The batches in one piece."""
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def in_memory(data: Data) -> Data:
    """The same with its images, decoded one by one, in memory."""

    def held(split: Split) -> Split:
        assert isinstance(split, Streamed)
        paths = split.files.paths(torch.arange(len(split)))
        arrays = [torch.from_numpy(np.array(framed(decoded(path), 64, 64))) for path in paths]
        return Split(torch.stack(arrays).permute(0, 3, 1, 2), split.labels)

    return replace(data, train=held(data.train), test=held(data.test))


def files_of(split: Split) -> ImageFiles:
    """The files of a split that stays in them."""
    assert isinstance(split, Streamed)
    return split.files


def names(split: Split) -> list[str]:
    """The names of the files of a split."""
    return [os.fsdecode(name).rsplit("/", 1)[-1] for name in files_of(split).names]


def with_workers(data: Data, workers: Workers) -> Data:
    """The same, read by these processes."""

    def shared(split: Split) -> Split:
        assert isinstance(split, Streamed)
        return replace(split, files=replace(split.files, workers=workers))

    return replace(data, train=shared(data.train), test=shared(data.test))


def test_a_data_set_has_labels_and_a_length_and_no_images(
    folder: Path, read_files: list[str]
) -> None:
    """Loading decodes nothing; the classes are those that are there."""
    data = loaded(folder)
    assert (len(data.train), len(data.test), data.classes) == (TRAIN, VAL, 3)
    assert data.train.labels.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    assert data.train.labels.dtype == torch.int64
    assert data.train.images.numel() == data.test.images.numel() == 0
    assert data.shape == (3, 64, 64)
    assert not read_files


@pytest.mark.parametrize(
    "flags", [{}, {"augment_rotation": 10, "augment_stretch": 0.1}, {"do_not_augment": True}]
)
def test_batches_equal_those_of_the_same_images_in_memory(
    folder: Path, flags: dict[str, object], workers: Workers
) -> None:
    """Order, labels, mirroring, cropping and rotation, bit for bit, with and without processes."""
    data = loaded(folder, "tinyimagenet2")
    twin = all_of(train(in_memory(data), folder, **flags).epoch(2))
    for count in (data, with_workers(data, workers)):
        images, labels = all_of(train(count, folder, **flags).epoch(2))
        assert torch.equal(images, twin[0])
        assert torch.equal(labels, twin[1])


def test_evaluation_equals_that_of_the_same_images_in_memory(
    folder: Path, workers: Workers
) -> None:
    """All images in their order, the last batch not full, at any size of a batch."""
    data = loaded(folder)
    twin = all_of(EvalLoader(in_memory(data).test, data, batch_size=99, device="cpu"))
    for size, these in ((4, data), (70, data), (4, with_workers(data, workers))):
        loader = EvalLoader(these.test, data, batch_size=size, device="cpu")
        images, labels = all_of(loader)
        assert loader.examples == VAL
        assert torch.equal(images, twin[0])
        assert torch.equal(labels, twin[1])


def test_a_resized_crop_is_keyed_by_seed_epoch_and_example(folder: Path) -> None:
    """Each image of an epoch against torchvision's crop of the region that its own key gives."""
    data = loaded(folder)
    images, _ = all_of(train(data, folder).epoch(3))
    order = torch.randperm(TRAIN, generator=generator(7, "order", 3))
    draws = draw(data.augmentation, TRAIN, order_seed=7, epoch=3)
    wanted = data.augmentation.resized_crop
    assert wanted is not None
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (data.mean, data.std))
    for at, (number, path) in enumerate(
        zip(order.tolist(), files_of(data.train).paths(order), strict=True)
    ):
        keyed = generator(7, "augmentation", 3, "resized crop", number)
        chosen = torch.rand(CROP_DRAWS, generator=keyed, dtype=torch.float64).tolist()
        left, top, right, bottom = region((64, 64), wanted, chosen)
        image = reference.resized_crop(
            decoded(path), top, left, bottom - top, right - left, [64, 64]
        )
        image = reference.hflip(image) if draws.flip[at] else image
        expected = (reference.to_tensor(image) - mean) / std
        torch.testing.assert_close(images[at], expected)


@pytest.mark.parametrize("size", [5, 8, 36])
def test_an_epoch_depends_neither_on_processes_nor_on_the_batch_size(
    folder: Path, size: int, workers: Workers
) -> None:
    """The same bits in batches of any size, read by none or two; another epoch is another."""
    data = loaded(folder)
    expected, labels = all_of(train(data, folder).epoch(1))
    for these in (data, with_workers(data, workers)):
        batches = list(train(these, folder, batch_size=size).epoch(1))
        assert [len(part) for _, part in batches] == [
            *[size] * (TRAIN // size), *[TRAIN % size] * (TRAIN % size > 0)
        ]  # fmt: skip
        found = all_of(batches)
        assert torch.equal(found[0], expected)
        assert torch.equal(found[1], labels)
    assert not torch.equal(all_of(train(data, folder).epoch(2))[0], expected)


def test_resuming_an_epoch_reads_nothing_that_comes_before(
    folder: Path, read_files: list[str]
) -> None:
    """From the third batch on: the same bits, and only the files of these batches, each once."""
    data = loaded(folder)
    loader = train(data, folder)
    whole = list(loader.epoch(4))
    order = [names(data.train)[number] for number in torch.randperm(
        TRAIN, generator=generator(7, "order", 4)
    )]  # fmt: skip
    assert read_files == order
    read_files.clear()
    for (left, left_labels), (right, right_labels) in zip(
        whole[3:], loader.epoch(4, 3), strict=True
    ):
        assert torch.equal(left, right)
        assert torch.equal(left_labels, right_labels)
    assert read_files == order[24:]
    assert list(loader.epoch(4, 99)) == []


def test_only_what_is_taken_is_read(folder: Path, read_files: list[str]) -> None:
    """One batch of an epoch, and a few examples of each class."""
    data = loaded(folder)
    next(train(data, folder).epoch(0))
    assert len(read_files) == 8
    read_files.clear()
    batches = examples_per_class(data, 2, seed=1, batch_size=4, device="cpu")
    assert torch.bincount(all_of(batches)[1]).tolist() == [2, 2, 2]
    assert len(set(read_files)) == len(read_files) == 6


def test_transforms_need_only_labels(folder: Path, read_files: list[str]) -> None:
    """Validation split, subsample and random labels choose what they choose in memory."""
    flags: dict[str, Any] = {
        "validation_fraction": 0.25, "subsample_fraction": 0.5, "random_labels_fraction": 0.4
    }  # fmt: skip
    data, whole = loaded(folder, **flags), loaded(folder)
    assert data.validation is not None
    assert not read_files
    assert (len(data.validation), len(data.train), len(data.test)) == (9, 14, VAL)
    assert set(names(data.train)).isdisjoint(names(data.validation))
    assert set(names(data.train)) < set(names(whole.train))
    kept = [WNIDS.index(name[:3]) for name in names(data.train)]
    assert 0 < sum(left != right for left, right in zip(kept, data.train.labels, strict=True)) <= 6
    images, labels = all_of(EvalLoader(data.validation, data, batch_size=4, device="cpu"))
    assert labels.tolist() == [WNIDS.index(name[:3]) for name in names(data.validation)]
    assert len(images) == 9


@pytest.mark.parametrize("flag", [{"blur_factor": 2}, {"unsupervised_labels": "rotation"}])
def test_what_needs_all_images_is_refused(folder: Path, flag: dict[str, Any]) -> None:
    """The message says why."""
    with pytest.raises(UserError, match="stay in their files"):
        hparams(folder, **flag)


def test_a_part_is_a_data_set_of_its_own_and_all_of_it_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A part is named after its files, wherever it lies; what is complete has the plain name."""
    part = hparams(folder)
    assert part.folder_digest is not None
    moved = hparams(picture_folder(tmp_path / "b", suffix=".png"))
    assert part.canonical() == moved.canonical()
    assert hparams(picture_folder(tmp_path / "c", train=3)).canonical() != part.canonical()
    whole = replace(DATASETS["tinyimagenet"], classes=3, examples=(TRAIN, VAL))
    monkeypatch.setitem(DATASETS._entries, "tinyimagenet", whole)
    assert hparams(folder).folder_digest is None
    assert hparams(folder).canonical() == {"dataset_name": "tinyimagenet", "batch_size": 8}
    assert len(loaded(folder).train) == TRAIN


def test_a_part_in_the_data_root_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """A download that broke off must not have the name of the whole."""
    place = picture_folder(tmp_path / "imagenet", train=2, val=1)
    plain = DatasetHparams(dataset_name="imagenet", batch_size=8)
    assert pin(plain, tmp_path) == plain
    with pytest.raises(
        UserError, match=rf"6 training images where there should be 1,281,167.*--folder={place}"
    ):
        load(plain, seed=1, root=tmp_path)
    with pytest.raises(UserError, match=r"'imagenet' is not there(.|\n)*imagenet/train/<wnid>"):
        load(plain, seed=1, root=tmp_path / "elsewhere")


def test_a_part_that_has_changed_is_refused(tmp_path: Path) -> None:
    """A file that came, went or grew since the run was described."""
    place = picture_folder(tmp_path, train=2, val=1)
    described = hparams(place)
    picture(99).save(place / "train" / "n01" / "more.JPEG")
    with pytest.raises(DamageError, match="are not those that the description was made with"):
        load(described, seed=1, root=tmp_path)


def test_imagenet_is_seen_at_its_size(tmp_path: Path) -> None:
    """224x224 of images of any size, also where they are smaller."""
    place = picture_folder(tmp_path, train=1, val=1)
    picture(5, (400, 301)).save(place / "train" / "n01" / "n01_00.JPEG")
    data = loaded(place, "imagenet")
    images, _ = next(train(data, place).epoch(0))
    tested, _ = next(iter(EvalLoader(data.test, data, batch_size=2, device="cpu")))
    assert images.shape == (3, 3, 224, 224)
    assert tested.shape == (2, 3, 224, 224)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_on_a_gpu_equal_the_cpus(folder: Path, workers: Workers) -> None:
    """Pixels are read on the CPU and normalized on the device."""
    data = with_workers(loaded(folder), workers)
    expected, labels = all_of(train(data, folder).epoch(0))
    found = TrainLoader(data, hparams(folder), order_seed=7, device="cuda")
    for _ in range(2):
        images, theirs = all_of(found.epoch(0))
        torch.testing.assert_close(images.cpu(), expected)
        assert torch.equal(theirs.cpu(), labels)
