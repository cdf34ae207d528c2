"""What several processes have of a data set: together all of it, and the same as one would have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from datasets import reading
from datasets.dataset import Augmentation
from datasets.loader import EvalLoader, TrainLoader
from datasets.pictures import decoded
from datasets.sources import Portion
from tests.datasets.samples import picture_folder
from tests.datasets.test_loader import hparams, numbered, which
from tests.datasets.test_streamed import hparams as streamed_hparams
from tests.datasets.test_streamed import loaded

if TYPE_CHECKING:
    from pathlib import Path

    from datasets.data import Data
    from datasets.hparams import DatasetHparams


def _loaders(data: Data, made: DatasetHparams, count: int) -> list[TrainLoader]:
    portions = [Portion(index, count) for index in range(count)]
    return [
        TrainLoader(data, made, order_seed=7, device="cpu", portion=portion) for portion in portions
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_parts_of_a_batch_follow_each_other(count: int) -> None:
    """Of nine examples in batches of four the last has one, and most processes none of it."""
    data = replace(numbered(9), augmentation=Augmentation(flip=True, crop=1))
    (alone,) = _loaders(data, hparams(4), 1)
    shared = [list(loader.epoch(3, 1)) for loader in _loaders(data, hparams(4), count)]
    whole = list(alone.epoch(3, 1))
    assert [alone.size(position) for position in range(3)] == [4, 4, 1]
    for position, (images, labels) in enumerate(whole):
        found = [batches[position] for batches in shared]
        assert torch.equal(torch.cat([part for part, _ in found]), images)
        assert torch.equal(torch.cat([part for _, part in found]), labels)
        sizes = [len(part) for _, part in found]
        assert max(sizes) - min(sizes) <= 1
        assert sizes == Portion(0, count).sizes(len(labels))


def test_batches_of_an_evaluation_go_round() -> None:
    """Each example once; a process may have none."""
    data = numbered(7)
    found = [
        [
            which(images)
            for images, _ in EvalLoader(
                data.test, data, batch_size=3, device="cpu", portion=Portion(index, 4)
            )
        ]
        for index in range(4)
    ]
    assert found == [[[0, 1, 2]], [[3, 4, 5]], [[6]], []]


def test_files_of_others_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes decode each image of an epoch once between them; an empty part has a shape."""
    folder = picture_folder(tmp_path, train=3, suffix=".png")
    data = loaded(folder)
    made = streamed_hparams(folder, data.name, batch_size=8)
    read: list[str] = []

    def noted(path: str) -> object:
        read.append(path)
        return decoded(path)

    monkeypatch.setattr(reading, "decoded", noted)
    found = []
    for loader in _loaders(data, made, 2):
        shapes = [tuple(images.shape) for images, _ in loader.epoch(0)]
        found.append((shapes, len(read)))
    assert found[0] == ([(4, 3, 64, 64), (0, 3, 64, 64)], 4)
    assert found[1] == ([(4, 3, 64, 64), (1, 3, 64, 64)], 9)
    assert len(set(read)) == len(data.train) == 9
