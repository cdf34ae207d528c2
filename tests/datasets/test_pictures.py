"""Decoding, resizing and cropping of single images, against torchvision."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, RandomResizedCrop, Resize
from torchvision.transforms import functional as reference

from datasets import DATASETS
from datasets.dataset import Framing, ResizedCrop
from datasets.pictures import CROP_DRAWS, decoded, framed, region, resized_crop
from foundations.errors import DamageError
from tests.datasets.samples import picture

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

WANTED = ResizedCrop(area=(0.1, 1.0), ratio=(0.8, 1.25))
SIZES = [(300, 200), (200, 301), (64, 64), (40, 500), (57, 56)]


def same(left: Image.Image, right: Image.Image) -> bool:
    """Whether two images have the same pixels."""
    return np.array_equal(np.asarray(left), np.asarray(right))


def _draws(rng: random.Random) -> list[float]:
    return [rng.random() for _ in range(CROP_DRAWS)]


@pytest.mark.parametrize("size", SIZES)
def test_framing_equals_torchvisions(size: tuple[int, int]) -> None:
    """Resize and CenterCrop of a PIL image, bit for bit."""
    image = picture(1, size)
    expected = Compose([Resize(56), CenterCrop(48)])(image)
    assert same(framed(image, 56, 48), expected)


@pytest.mark.parametrize("size", SIZES)
def test_a_resized_crop_equals_torchvisions_of_the_same_region(size: tuple[int, int]) -> None:
    """resized_crop of a PIL image, bit for bit; the region is inside and of an allowed form."""
    image, rng = picture(2, size), random.Random(0)  # noqa: S311 - no secret
    for _ in range(5):
        draws = _draws(rng)
        left, top, right, bottom = region(size, WANTED, draws)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        expected = reference.resized_crop(image, top, left, bottom - top, right - left, [32, 32])
        assert same(resized_crop(image, WANTED, 32, draws), expected)


def _features(boxes: list[tuple[int, int, int, int]], size: tuple[int, int]) -> Tensor:
    """Of regions: the fraction of the area, the ratio, and the place among those possible."""
    left, top, right, bottom = torch.tensor(boxes, dtype=torch.float64).T
    wide, tall = right - left, bottom - top
    places = [left / (size[0] - wide + 1), top / (size[1] - tall + 1)]
    return torch.stack([wide * tall / (size[0] * size[1]), wide / tall, *places])


def test_regions_are_distributed_as_torchvisions() -> None:
    """Deciles of area, ratio and place of 4,000 draws of each."""
    size, rng = (300, 200), random.Random(1)  # noqa: S311 - no secret
    ours = [region(size, WANTED, _draws(rng)) for _ in range(4000)]
    theirs = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = Image.new("RGB", size)
        for _ in range(4000):
            top, left, tall, wide = RandomResizedCrop.get_params(image, [0.1, 1.0], [0.8, 1.25])
            theirs.append((left, top, left + wide, top + tall))
    deciles = torch.arange(0.1, 0.95, 0.1, dtype=torch.float64)
    found, expected = (
        torch.quantile(_features(boxes, size), deciles, dim=1) for boxes in (ours, theirs)
    )
    assert (found - expected).abs().max() < 0.03


@pytest.mark.parametrize("size", [(1000, 3), (3, 1000), (1, 1), (2000, 40)])
def test_an_image_that_nothing_fits_into_gives_torchvisions_center(size: tuple[int, int]) -> None:
    """The largest part in the middle whose ratio is allowed."""
    narrow = ResizedCrop(area=(0.99, 1.0), ratio=(0.8, 1.25))
    rng = random.Random(2)  # noqa: S311 - no secret
    image = Image.new("RGB", size)
    top, left, tall, wide = RandomResizedCrop.get_params(image, [0.99, 1.0], [0.8, 1.25])
    assert region(size, narrow, _draws(rng)) == (left, top, left + wide, top + tall)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA"])
def test_images_of_any_mode_become_gray_or_color(mode: str, tmp_path: Path) -> None:
    """ImageNet has gray and CMYK images; a file may be called what it is not."""
    kind = "JPEG" if mode in {"L", "CMYK"} else "PNG"
    path = tmp_path / "image.JPEG"
    picture(3).convert(mode).save(path, format=kind)
    with Image.open(path) as plain:
        expected = plain.convert("RGB")
    assert same(decoded(path).convert("RGB"), expected)


def test_a_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    """The message says which file it is and what to do."""
    path = tmp_path / "short.JPEG"
    picture(4).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DamageError, match=r"short\.JPEG cannot be read as an image \(.*truncated"):
        decoded(path)


def test_recipes_are_the_published_ones() -> None:
    """OpenLTH's: a tenth to all of the image, ratios from 4:5 to 5:4, 256 to 224 for testing."""
    imagenet, tiny, second = (
        DATASETS[name] for name in ("imagenet", "tinyimagenet", "tinyimagenet2")
    )
    assert imagenet.augmentation == tiny.augmentation
    assert imagenet.augmentation.resized_crop == WANTED
    assert imagenet.augmentation.flip
    assert imagenet.framing == Framing(resize=256, crop=224)
    assert tiny.framing == second.framing == Framing(resize=64, crop=64)
    assert (second.augmentation.crop, second.augmentation.flip) == (4, True)
    assert second.augmentation.resized_crop is None
    assert second.mean == tiny.mean == (-0.021, -0.0354, -0.0376)
    assert second.std == tiny.std == (1.21, 1.20, 1.25)
    assert (imagenet.shape, tiny.shape) == ((3, 224, 224), (3, 64, 64))
