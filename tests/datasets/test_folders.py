"""Image folders in a description: by the checksum of their content."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from datasets import folders
from datasets.folders import pin
from datasets.hparams import DatasetHparams
from datasets.load import load
from foundations.errors import DamageError, UserError


def of(folder: Path, **others: object) -> DatasetHparams:
    """Hyperparameters of an image folder."""
    given = {"dataset_name": "folder", "batch_size": 4, "folder": str(folder)}
    return DatasetHparams.from_dict(given | others)


def test_a_pinned_folder_loads(image_folder: Path, tmp_path: Path) -> None:
    """Classes, shape and statistics come from the images."""
    hparams = pin(of(image_folder), tmp_path)
    data = load(hparams, seed=1, root=tmp_path)
    assert (data.classes, data.shape) == (2, (3, 9, 7))
    pixels = data.train.images.double() / 255
    torch.testing.assert_close(torch.tensor(data.mean).double(), pixels.mean((0, 2, 3)))
    assert data.augmentation.off


def test_the_checksum_is_of_the_content_not_of_names_or_places(
    image_folder: Path, tmp_path: Path
) -> None:
    """A copy elsewhere with other file names, times and formats is the same data."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(image_folder, elsewhere)
    for path in sorted(elsewhere.rglob("*.png")):
        with Image.open(path) as picture:
            picture.save(path.with_name(f"z{9 - int(path.stem)}.bmp"))
        path.unlink()
    here, there = pin(of(image_folder), tmp_path), pin(of(elsewhere), tmp_path)
    assert here.folder_digest == there.folder_digest
    assert here.canonical() == there.canonical()
    left, right = (load(hparams, seed=1, root=tmp_path) for hparams in (here, there))
    assert torch.equal(left.train.images, right.train.images)
    small = pin(of(elsewhere, image_size=4), tmp_path)
    assert small.folder_digest != here.folder_digest


def test_pinning_again_reads_no_image(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While names, sizes and times are the same the checksum comes from the cache."""
    first = pin(of(image_folder), tmp_path)
    monkeypatch.setattr(folders, "_read", None)
    assert pin(of(image_folder), tmp_path) == first
    assert pin(first, tmp_path) is first


def test_a_changed_folder_is_refused(image_folder: Path, tmp_path: Path) -> None:
    """A pixel changed, at the same size: both checksums are named."""
    hparams = pin(of(image_folder), tmp_path)
    path = image_folder / "train" / "ant" / "0.png"
    with Image.open(path) as file:
        picture = file.convert("RGB")
    picture.putpixel((0, 0), (picture.getpixel((0, 0))[0] ^ 1, 0, 0))  # type: ignore[index]
    picture.save(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DamageError, match="is not what the description was made with"):
        load(hparams, seed=1, root=tmp_path)
    assert pin(of(image_folder), tmp_path).folder_digest != hparams.folder_digest


def test_an_unpinned_or_absent_folder_is_refused(image_folder: Path, tmp_path: Path) -> None:
    """A run must be named after its content, and its content must be found."""
    with pytest.raises(UserError, match="no checksum yet"):
        load(of(image_folder), seed=1, root=tmp_path)
    with pytest.raises(UserError, match="is not there; looked for"):
        pin(of(image_folder / "nowhere"), tmp_path)
    nowhere = replace(pin(of(image_folder), tmp_path), folder=None)
    with pytest.raises(UserError, match="--folder=PATH"):
        load(nowhere, seed=1, root=tmp_path)


def test_a_relative_path_is_looked_for_here_and_under_the_data_root(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pinned is the absolute path."""
    assert pin(of(Path("images")), tmp_path).folder == str(image_folder.resolve())
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "data"
    assert pin(of(Path("images")), other).folder == str(image_folder.resolve())


def test_a_folder_works_without_a_place_to_cache_it(image_folder: Path, tmp_path: Path) -> None:
    """The data root cannot be written to: nothing is kept, all works."""
    blocked = tmp_path / "file"
    blocked.write_text("no folder can be made below a file")
    hparams = pin(of(image_folder), blocked / "root")
    assert load(hparams, seed=1, root=blocked / "root").classes == 2


def test_a_reflected_padding_must_fit_the_images(image_folder: Path, tmp_path: Path) -> None:
    """It is refused when the size is known."""
    hparams = of(image_folder, augment_crop=7, augment_crop_mode="reflect")
    with pytest.raises(UserError, match="9x7"):
        load(pin(hparams, tmp_path), seed=1, root=tmp_path)
