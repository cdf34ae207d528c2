"""Which files a folder of ImageNet's or TinyImageNet's layout consists of, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from datasets import DATASETS
from datasets.listing import ANNOTATIONS, listing
from foundations.errors import UserError
from tests.datasets.samples import WNIDS, picture_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_files_are_listed_by_class_and_name(tmp_path: Path) -> None:
    """Labels follow the sorted names of the folders; other files are passed over."""
    folder = picture_folder(tmp_path, train=2, val=1)
    (folder / "train" / "n02" / "n02_boxes.txt").touch()
    (folder / "train" / "n02" / "._n02_00.JPEG").touch()
    found = listing(folder)
    assert found.classes == WNIDS
    assert found.train == [
        (f"train/{name}/{name}_{number:02}.JPEG", label)
        for label, name in enumerate(WNIDS)
        for number in range(2)
    ]
    assert found.test == [(f"val/{name}/{name}_00.JPEG", i) for i, name in enumerate(WNIDS)]


def test_tinyimagenet_is_read_as_it_comes(tmp_path: Path) -> None:
    """Training images lie in ``images``; those of val together, with their classes in a file."""
    folder = picture_folder(tmp_path, train=2, val=2, inner="images")
    sorted_by_hand = listing(folder)
    together = folder / "val" / "images"
    together.mkdir()
    rows = []
    for name in reversed(WNIDS):
        for number in range(2):
            shutil.move(folder / "val" / name / f"{name}_{number:02}.JPEG", together)
            rows.append(f"{name}_{number:02}.JPEG\t{name}\t0\t0\t62\t62\n")
        (folder / "val" / name).rmdir()
    (folder / "val" / ANNOTATIONS).write_text("".join(rows))
    found = listing(folder)
    assert found.train[0] == ("train/n01/images/n01_00.JPEG", 0)
    assert found.train == sorted_by_hand.train
    assert [label for _, label in found.test] == [0, 0, 1, 1, 2, 2]
    assert [path for path, _ in found.test][:3] == [
        f"val/images/{name}.JPEG" for name in ("n01_00", "n01_01", "n02_00")
    ]
    (folder / "val" / ANNOTATIONS).write_text("".join(rows[1:]))
    with pytest.raises(UserError, match=r"names no class of .* for n03_00\.JPEG"):
        listing(folder)
    (folder / "val" / ANNOTATIONS).unlink()
    with pytest.raises(UserError, match=f"{ANNOTATIONS} is missing"):
        listing(folder)


def test_a_folder_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    """A class without images, a class that val lacks, and no classes at all."""
    folder = picture_folder(tmp_path / "data", train=1, val=1)
    (folder / "train" / "n02" / "n02_00.JPEG").unlink()
    with pytest.raises(UserError, match=r"train/n02 holds no images: the copy is not complete"):
        listing(folder)
    shutil.rmtree(folder / "train" / "n02")
    with pytest.raises(UserError, match=r"same folders.* are n02\."):
        listing(folder)
    shutil.rmtree(folder / "val")
    with pytest.raises(UserError, match=r"val should hold a folder of images for each class"):
        listing(folder)


def test_the_checksum_knows_names_and_sizes_and_not_the_place(tmp_path: Path) -> None:
    """The same files elsewhere have the same; a longer, a renamed or a missing file another."""
    folder = picture_folder(tmp_path / "a", train=2, val=1)
    before = listing(folder).digest()
    assert listing(picture_folder(tmp_path / "b", train=2, val=1)).digest() == before
    seen = {before}
    file = folder / "train" / "n03" / "n03_01.JPEG"
    with file.open("ab") as more:
        more.write(b"x")
    seen.add(listing(folder).digest())
    file = file.rename(file.with_name("n03_99.JPEG"))
    seen.add(listing(folder).digest())
    file.unlink()
    seen.add(listing(folder).digest())
    assert len(seen) == 4


def test_what_is_lacking_is_counted(tmp_path: Path) -> None:
    """Classes and images of both splits, against what the whole data set has."""
    found = listing(picture_folder(tmp_path, train=4, val=1))
    whole = replace(DATASETS["imagenet"], classes=3, examples=(12, 3))
    assert found.lacks(whole) == ""
    assert found.lacks(replace(whole, examples=(13, 3))) == (
        "12 training images where there should be 13"
    )
    assert found.lacks(DATASETS["imagenet"]) == (
        "3 classes where there should be 1,000, 12 training images where there should be "
        "1,281,167, 3 images in val where there should be 50,000"
    )
