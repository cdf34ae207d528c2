"""Where tensors come from: caches that are checked, files, downloads, and clear refusals."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from datasets import DATASETS
from datasets import obtain as obtaining
from datasets.cache import read_cache, write_cache
from datasets.canonical import canonical, canonical_content, digest
from datasets.data import Content, Split
from datasets.dataset import Dataset, Source, cache_path
from datasets.hparams import DatasetHparams
from datasets.idx_files import FILES, idx_sources
from datasets.load import load
from datasets.obtain import obtain
from foundations.errors import DamageError, UserError
from tests.datasets.samples import random_content
from tests.datasets.test_files import idx

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = Dataset(
    name="tiny",
    summary="a data set of the tests",
    get="Nobody has it.",
    classes=2,
    shape=(1, 2, 2),
    examples=(2, 2),
    sources=idx_sources("Tiny"),
)
"""Two gray images for training and two for testing, in IDX files."""


def write_tiny(root: Path, fill: int = 7) -> None:
    """The files of ``TINY``."""
    folder = root / "Tiny" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1])
        (folder / name).write_bytes(idx(2, 2, 2, fill=fill) if "images" in name else labels)


@pytest.fixture
def never_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A switch after which reading the files of a data set fails the test."""

    def refuse(self: Source) -> None:
        pytest.fail("the files were read")

    return lambda: monkeypatch.setattr(Source, "reader", refuse)


def test_the_canonical_order_does_not_depend_on_the_order_of_the_files() -> None:
    """Shuffled examples are brought to one order: by label, then by pixels."""
    content = random_content()
    split = content.train
    shuffled = split.take(torch.randperm(len(split)))
    one, other = canonical(split), canonical(shuffled)
    assert torch.equal(one.images, other.images)
    assert one.labels.tolist() == sorted(split.labels.tolist())
    rows = [image.permute(1, 2, 0).flatten().tolist() for image in one.images]
    assert list(zip(one.labels.tolist(), rows, strict=True)) == sorted(
        zip(one.labels.tolist(), rows, strict=True)
    )


def test_the_checksum_sees_every_part() -> None:
    """A pixel, a label, a shape, or splits that changed places give another checksum."""
    content = random_content()
    train = content.train
    pixel, label = train.images.clone(), train.labels.clone()
    pixel[0, 0, 0, 0] ^= 1
    label[0] ^= 1
    others = [
        Content(Split(pixel, train.labels), content.test),
        Content(Split(train.images, label), content.test),
        Content(Split(train.images.reshape(30, 3, 4, 9), train.labels), content.test),
        Content(content.test, train),
    ]
    assert len({digest(other) for other in [content, *others]}) == 5


def test_a_cache_gives_back_what_was_written(tmp_path: Path) -> None:
    """Images, labels, checksum and source."""
    content = canonical_content(random_content())
    path = tmp_path / "deep" / "cache.safetensors"
    write_cache(path, content, source="here")
    cached = read_cache(path)
    assert cached is not None
    assert cached.source == "here"
    assert cached.digest == digest(content)
    assert torch.equal(cached.content.train.images, content.train.images)
    assert torch.equal(cached.content.test.labels, content.test.labels)


def test_a_damaged_cache_counts_as_absent(tmp_path: Path) -> None:
    """Cut at any place, or with any byte of a tensor changed, it is not believed."""
    path = tmp_path / "cache.safetensors"
    write_cache(path, random_content((1, 2, 2)), source="here")
    data = path.read_bytes()
    for length in range(0, len(data), 11):
        path.write_bytes(data[:length])
        assert read_cache(path) is None
    for at in range(len(data) - 300, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert read_cache(path) is None
    assert read_cache(tmp_path / "absent") is None


def test_the_second_time_the_files_are_not_read(
    tmp_path: Path, never_read: Callable[[], None]
) -> None:
    """The cache is enough, also when the files are gone."""
    write_tiny(tmp_path)
    first = obtain(TINY, tmp_path)
    never_read()
    assert torch.equal(obtain(TINY, tmp_path).train.images, first.train.images)
    for path in (tmp_path / "Tiny" / "raw").iterdir():
        path.unlink()
    assert torch.equal(obtain(TINY, tmp_path).train.images, first.train.images)


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    """It is replaced by a good one."""
    write_tiny(tmp_path)
    obtain(TINY, tmp_path)
    path = cache_path(tmp_path, "tiny")
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    assert obtain(TINY, tmp_path).train.images.eq(7).all()
    assert path.read_bytes() == good


def test_changed_files_are_read_again(tmp_path: Path) -> None:
    """Where no checksum is known, the cache is of the files that are there."""
    write_tiny(tmp_path)
    assert obtain(TINY, tmp_path).train.images.eq(7).all()
    write_tiny(tmp_path, fill=8)
    assert obtain(TINY, tmp_path).train.images.eq(8).all()


def test_a_known_checksum_refuses_other_images(tmp_path: Path) -> None:
    """Files and caches of something else under the same name are not taken."""
    write_tiny(tmp_path, fill=8)
    other = obtain(TINY, tmp_path)
    known = replace(TINY, digest="0" * 64)
    with pytest.raises(DamageError, match=f"checksum of {digest(other)}, 0000") as caught:
        obtain(known, tmp_path)
    assert str(tmp_path / "Tiny" / "raw") in str(caught.value)
    assert obtain(replace(TINY, digest=digest(other)), tmp_path).train.images.eq(8).all()


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"examples": (3, 2)}, "2 training images, 3 were expected"),
        ({"examples": (2, 5)}, "2 test images, 5 were expected"),
        ({"shape": (1, 3, 3)}, "images of 1x2x2, 1x3x3 were expected"),
        ({"classes": 3}, "labels of 2 classes, 3 were expected"),
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, changes: dict[str, object], wrong: str) -> None:
    """What is there, what was expected, and where."""
    write_tiny(tmp_path)
    with pytest.raises(DamageError, match=wrong):
        obtain(replace(TINY, **changes), tmp_path)  # type: ignore[arg-type]
    assert not cache_path(tmp_path, "tiny").exists()


def test_missing_files_are_named_with_their_places(tmp_path: Path) -> None:
    """Every place that was looked at, and what is lacking there."""
    write_tiny(tmp_path)
    (tmp_path / "Tiny" / "raw" / FILES[0]).unlink()
    with pytest.raises(UserError) as caught:
        obtain(TINY, tmp_path)
    message = str(caught.value)
    assert f"{tmp_path}/Tiny/raw, which lacks {FILES[0]} (or with .gz)" in message
    assert f"{tmp_path}/Tiny, which lacks {', '.join(FILES)}" in message
    assert "OPEN_PRUNE_DATA" in message


def test_all_works_where_the_root_cannot_be_written(tmp_path: Path) -> None:
    """The digits load without a cache."""
    blocked = tmp_path / "file"
    blocked.write_text("no folder can be made below a file")
    hparams = DatasetHparams(dataset_name="digits", batch_size=4)
    assert load(hparams, seed=1, root=blocked).classes == 10


def test_a_download_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were missing and are fetched are read."""

    def fetch(dataset: Dataset, root: Path) -> str:
        write_tiny(root)
        return ""

    monkeypatch.setattr(obtaining, "fetch", fetch)
    assert obtain(TINY, tmp_path).train.images.eq(7).all()
    with pytest.raises(UserError, match="downloading was not asked for"):
        obtain(TINY, tmp_path / "other", download=False)


def test_processes_that_make_one_cache_at_once_all_succeed(tmp_path: Path) -> None:
    """Each gets the same tensors, and the cache is good afterwards."""
    write_tiny(tmp_path)
    code = """
        import sys
        from pathlib import Path
        from datasets.canonical import digest
        from datasets.obtain import obtain
        from datasets.dataset import cache_path
        from tests.datasets.test_obtain import TINY
        root = Path(sys.argv[1])
        for _ in range(8):
            print(digest(obtain(TINY, root)))
            cache_path(root, "tiny").unlink(missing_ok=True)
        obtain(TINY, root)
    """
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    workers = [
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    printed = [worker.communicate(timeout=120)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len({line for lines in printed for line in lines}) == 1
    assert read_cache(cache_path(tmp_path, "tiny")) is not None


def test_the_digits_are_scikit_learns() -> None:
    """All 1,797, scaled to 0..255, each in one of the splits, every class in both."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    content = obtain(DATASETS["digits"], Path("/nonexistent"))
    images = torch.cat([content.train.images, content.test.images]).flatten(1).double()
    found = sorted((images / 255 * 16).round().long().tolist())
    assert found == sorted(torch.from_numpy(values).long().tolist())
    assert (
        torch.bincount(content.train.labels).add(torch.bincount(content.test.labels)).tolist()
        == torch.bincount(torch.from_numpy(labels)).tolist()
    )
    assert torch.bincount(content.test.labels).min() > 30
