"""The real MNIST and CIFAR-10, where they are."""

from __future__ import annotations

import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from datasets import DATASETS
from datasets.canonical import digest
from datasets.hparams import DatasetHparams
from datasets.load import load
from datasets.normalize import statistics
from datasets.obtain import obtain
from foundations.errors import DamageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.data
def test_the_real_mnist_loads(mnist_root: Path) -> None:
    """60,000 and 10,000 images, with the statistics and the checksum that are known."""
    hparams = DatasetHparams(dataset_name="mnist", batch_size=128)
    data = load(hparams, seed=1, root=mnist_root, download=False)
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    mean, std = statistics(data.train.images)
    assert (round(mean[0], 4), round(std[0], 4)) == (data.mean[0], data.std[0])
    content = obtain(DATASETS["mnist"], mnist_root, download=False)
    assert digest(content) == DATASETS["mnist"].digest


@pytest.mark.data
def test_a_foreign_mnist_is_refused(mnist_root: Path) -> None:
    """Training labels in the place of other training labels: same size, other content."""
    from datasets.idx import read_idx

    folder = mnist_root / "MNIST" / "raw"
    path = folder / "train-labels-idx1-ubyte"
    source = path if path.exists() else folder / "train-labels-idx1-ubyte.gz"
    labels = read_idx(source, 1)
    head = bytes([0, 0, 8, 1]) + len(labels).to_bytes(4, "big")
    path.write_bytes(head + bytes(labels.roll(1).tolist()))
    with pytest.raises(DamageError, match="is not the data set 'mnist'"):
        obtain(DATASETS["mnist"], mnist_root, download=False)


@pytest.mark.data
@pytest.mark.slow
def test_the_real_cifar10_from_png_files_is_cifar10(real_data: Path, tmp_path: Path) -> None:
    """The PNG files give the tensors of the pinned checksum; from the cache they load at once."""
    archives = sorted((real_data / "cifar10").glob("*.tar.gz"))
    if archives:
        for archive in archives:
            with tarfile.open(archive) as packed:
                packed.extractall(tmp_path / "unpacked", filter="data")
        train = next((tmp_path / "unpacked").rglob("train"))
        train.parent.rename(tmp_path / "cifar10")
    elif (real_data / "cifar10" / "train").is_dir():
        (tmp_path / "cifar10").symlink_to(real_data / "cifar10")
    else:
        pytest.skip(f"no real CIFAR-10 under {real_data}")
    content = obtain(DATASETS["cifar10"], tmp_path, workers=2, download=False)
    assert digest(content) == DATASETS["cifar10"].digest
    assert [round(value, 4) for value in statistics(content.train.images)[0]] == [
        0.4914,
        0.4822,
        0.4465,
    ]
    start = time.perf_counter()
    again = obtain(DATASETS["cifar10"], tmp_path, download=False)
    assert time.perf_counter() - start < 3  # 0.2 s by itself; others may be busy
    assert digest(again) == DATASETS["cifar10"].digest
