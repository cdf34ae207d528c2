"""Files of data sets that are right, cut short, or of something else."""

from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING

import pytest
import torch

from datasets.cifar import read_cifar10
from datasets.cifar10 import BATCHES
from datasets.idx import read, read_idx
from datasets.idx_files import FILES
from foundations.errors import DamageError

if TYPE_CHECKING:
    from pathlib import Path


def idx(*shape: int, fill: int = 7) -> bytes:
    """An IDX file of bytes, built by hand from the format's description."""
    count = 1
    for side in shape:
        count *= side
    head = bytes([0, 0, 8, len(shape)]) + b"".join(side.to_bytes(4, "big") for side in shape)
    return head + bytes([fill] * count)


def test_an_idx_file_gives_its_values_in_its_shape(tmp_path: Path) -> None:
    """Values come row by row."""
    path = tmp_path / "values"
    path.write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255]))
    assert read_idx(path, 2).tolist() == [[1, 2, 3], [4, 5, 255]]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG\r\n\x1a\n and more", "begins with 89504e47"),
        (idx(3, 2, 2)[:10], "is no IDX file"),
        (idx(3, 2, 2)[:-1], "28 bytes in all, and has 27"),
        (idx(3, 2, 2) + b"0", "28 bytes in all, and has 29"),
        (idx(12), "begins with 00000801"),
        (idx(0, 2, 2), "0x2x2"),
    ],
)
def test_a_wrong_idx_file_is_named_with_what_is_wrong(
    tmp_path: Path, data: bytes, wrong: str
) -> None:
    """Cut short, too long, of another format, of other dimensions, empty."""
    path = tmp_path / "images"
    path.write_bytes(data)
    with pytest.raises(DamageError, match=wrong) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_compressed_file_is_read_and_a_cut_one_named(tmp_path: Path) -> None:
    """Cut at any place, a .gz file is a DamageError that names it."""
    path = tmp_path / "images.gz"
    packed = gzip.compress(idx(3, 2, 2))
    path.write_bytes(packed)
    assert read_idx(path, 3).eq(7).all()
    for length in range(len(packed)):
        path.write_bytes(packed[:length])
        with pytest.raises(DamageError, match=r"images\.gz"):
            read_idx(path, 3)
    path.write_bytes(idx(3, 2, 2))
    with pytest.raises(DamageError, match="cannot be decompressed"):
        read_idx(path, 3)


def test_images_and_labels_must_be_equally_many(tmp_path: Path) -> None:
    """Files of different data sets do not belong together."""
    for name in FILES:
        (tmp_path / name).write_bytes(idx(4, 2, 2) if "images" in name else idx(4))
    assert read(tmp_path, 0).train.images.shape == (4, 1, 2, 2)
    (tmp_path / FILES[1]).write_bytes(idx(3))
    with pytest.raises(DamageError, match="4 and 3"):
        read(tmp_path, 0)


def test_pickles_that_torchvision_does_not_know_are_never_opened(tmp_path: Path) -> None:
    """A foreign pickle is refused by its md5; had it been opened, it would have left a file."""
    folder, trace = tmp_path / "cifar-10-batches-py", tmp_path / "opened"
    folder.mkdir()
    malicious = b"cos\nsystem\n(S'touch " + str(trace).encode() + b"'\ntR."
    for name in BATCHES:
        (folder / name).write_bytes(malicious)
    with pytest.raises(DamageError, match=r"data_batch_1, .*md5"):
        read_cifar10(folder, 0)
    assert not trace.exists()


@pytest.mark.data
def test_the_real_mnist_is_the_same_from_compressed_and_plain_files(mnist_root: Path) -> None:
    """A folder of both kinds gives the tensors that torchvision gives."""
    from torchvision.datasets import MNIST

    folder = mnist_root / "MNIST" / "raw"
    compressed = [name for name in FILES if (folder / f"{name}.gz").exists()]
    before = read(folder, 0)
    for name in compressed:
        with gzip.open(folder / f"{name}.gz") as packed, (folder / name).open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    after = read(folder, 0)
    for split, again, train in (
        (before.train, after.train, True),
        (before.test, after.test, False),
    ):
        theirs = MNIST(mnist_root, train=train)
        assert torch.equal(split.images[:, 0], theirs.data)
        assert torch.equal(split.labels, theirs.targets)
        assert torch.equal(split.images, again.images)
