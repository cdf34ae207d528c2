"""Image folders: how files become tensors, and what is refused."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from datasets.images import read_tree
from foundations.errors import DamageError, UserError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_gives_its_pixels_and_labels(image_folder: Path) -> None:
    """Lossless files give their very pixels; classes are numbered by name."""
    content = read_tree(image_folder, 0)
    assert content.train.images.shape == (10, 3, 9, 7)
    assert content.test.images.shape == (6, 3, 9, 7)
    assert content.train.labels.tolist() == [0] * 5 + [1] * 5
    with Image.open(image_folder / "train" / "bee" / "2.png") as picture:
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    assert torch.equal(content.train.images[7], pixels)


def test_workers_change_nothing(image_folder: Path) -> None:
    """Threads decode, the order stays."""
    left, right = read_tree(image_folder, 0), read_tree(image_folder, 3)
    assert torch.equal(left.train.images, right.train.images)


@pytest.mark.parametrize("size", [(20, 13), (13, 20), (8, 8), (3, 5), (8, 30)])
def test_resizing_equals_torchvisions(image_folder: Path, size: tuple[int, int]) -> None:
    """Shorter side resized and center cut out, as torchvision does to PIL images, bit for bit."""
    path = image_folder / "train" / "ant" / "0.png"
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    picture.save(path)
    reference = transforms.Compose(
        [transforms.Resize(8), transforms.CenterCrop(8), transforms.PILToTensor()]
    )
    found = read_tree(image_folder, 0, image_size=8)
    assert found.train.images.shape == (10, 3, 8, 8)
    assert torch.equal(found.train.images[0], reference(picture))


def test_images_are_gray_if_all_are(image_folder: Path) -> None:
    """Gray images have one channel; among color ones they get three equal ones."""
    for path in sorted(image_folder.rglob("*.png")):
        with Image.open(path) as picture:
            gray = picture.convert("L")
        gray.save(path)
    content = read_tree(image_folder, 0)
    assert content.train.images.shape == (10, 1, 9, 7)
    path = image_folder / "test" / "bee" / "2.png"
    with Image.open(path) as picture:
        colored = picture.convert("RGB")
    colored.putpixel((0, 0), (1, 2, 3))
    colored.save(path)
    mixed = read_tree(image_folder, 0).train.images
    assert mixed.shape == (10, 3, 9, 7)
    assert torch.equal(mixed, content.train.images.expand(-1, 3, -1, -1))


def test_images_of_different_size_need_a_size(image_folder: Path) -> None:
    """The message names two files, their sizes and the flag."""
    Image.new("RGB", (4, 5)).save(image_folder / "test" / "bee" / "1.png")
    with pytest.raises(UserError, match=r"9x7, .*bee/1\.png is 5x4.*--image_size"):
        read_tree(image_folder, 0)


@pytest.mark.parametrize("keep", [0, 20, 0.5, -1])
def test_a_damaged_image_is_named(image_folder: Path, keep: float) -> None:
    """Empty, cut in the header, in the middle, before the end."""
    path = image_folder / "train" / "bee" / "3.png"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if keep == 0.5 else int(keep)])
    if keep == -1:
        path.write_bytes(data[:-30])
    with pytest.raises(DamageError, match=r"bee/3\.png cannot be read as an image"):
        read_tree(image_folder, 0)


def test_images_with_more_than_8_bits_are_refused(image_folder: Path) -> None:
    """They would be cut off silently."""
    deep = Image.fromarray(np.full((9, 7), 1000, np.uint16))
    deep.save(image_folder / "train" / "ant" / "1.png")
    with pytest.raises(UserError, match="more than 8 bits"):
        read_tree(image_folder, 0)


def test_a_folder_of_another_build_is_refused(image_folder: Path) -> None:
    """Missing parts, classes that differ, classes without images."""
    shutil.rmtree(image_folder / "test" / "bee")
    with pytest.raises(UserError, match="bee is in one of them only"):
        read_tree(image_folder, 0)
    (image_folder / "test" / "bee").mkdir()
    (image_folder / "test" / "bee" / "notes.txt").write_text("no image")
    with pytest.raises(UserError, match="bee holds no images"):
        read_tree(image_folder, 0)
    shutil.rmtree(image_folder / "test")
    with pytest.raises(UserError, match="test is missing"):
        read_tree(image_folder, 0)
    shutil.rmtree(image_folder / "train")
    (image_folder / "train").mkdir()
    with pytest.raises(UserError, match="train holds no folders"):
        read_tree(image_folder, 0)
