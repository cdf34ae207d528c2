"""Batched augmentation against slow references that take one image at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from datasets.augment import Draws, PixelTable, augmented, draw, rotated
from datasets.dataset import Augmentation

if TYPE_CHECKING:
    from torch import Tensor


def slow(image: Tensor, draws: Draws, at: int, augmentation: Augmentation) -> Tensor:
    """One image (H, W, C), mirrored and cropped by PIL and torchvision."""
    picture = Image.fromarray(image.squeeze(2).numpy())
    if augmentation.flip and draws.flip[at]:
        picture = reference.hflip(picture)
    mode = "constant" if augmentation.crop_mode == "zero" else "reflect"
    picture = reference.pad(picture, [augmentation.crop], padding_mode=mode)
    height, width = image.shape[:2]
    picture = reference.crop(picture, int(draws.down[at]), int(draws.right[at]), height, width)
    return torch.from_numpy(np.array(picture)).view(height, width, -1)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(3, 9),
    st.integers(3, 9),
    st.sampled_from([1, 3]),
    st.integers(0, 2),
    st.integers(0, 1),
    st.sampled_from(["zero", "reflect"]),
    st.integers(0, 99),
)
def test_flip_and_crop_equal_one_image_at_a_time(
    height: int, width: int, channels: int, crop: int, flip: int, mode: str, seed: int
) -> None:
    """A batch is bit-equal to PIL's images, for any size, padding and mode."""
    augmentation = Augmentation(crop=crop, flip=bool(flip), crop_mode=mode)
    keyed = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (6, height, width, channels), dtype=torch.uint8, generator=keyed)
    draws = draw(augmentation, 6, order_seed=seed, epoch=1)
    indices = torch.tensor([4, 0, 1, 5, 5, 2])
    found = augmented(PixelTable.of(images), indices, draws, augmentation)
    for at, index in enumerate(indices.tolist()):
        assert torch.equal(found[at], slow(images[index], draws, at, augmentation))


def test_images_on_their_side_are_mirrored_top_to_bottom() -> None:
    """A mirrored image that lies on its side is the mirrored upright image, turned."""
    upright = torch.randint(0, 256, (4, 5, 5, 3), dtype=torch.uint8)
    turned = torch.rot90(upright, 1, (1, 2))
    flip = Augmentation(flip=True)
    zero = torch.zeros(4, dtype=torch.int64)
    draws = Draws(torch.tensor([True, False, True, True]), zero, zero, zero.float())
    sideways = torch.ones(4, dtype=torch.bool)
    plain = augmented(PixelTable.of(upright), torch.arange(4), draws, flip)
    found = augmented(PixelTable.of(turned), torch.arange(4), draws, flip, sideways)
    assert torch.equal(found, torch.rot90(plain, 1, (1, 2)))
    assert torch.equal(plain[0], upright[0].flip(1))


@pytest.mark.parametrize("mode", ["zero", "reflect"])
def test_a_quarter_turn_is_exact_and_counterclockwise(mode: str) -> None:
    """Turning by 90 and 180 degrees moves pixels and changes none."""
    images = torch.randint(0, 256, (2, 7, 7, 3), dtype=torch.uint8)
    found = rotated(images, torch.tensor([90.0, 180.0]), mode)
    assert torch.equal(found[0], torch.rot90(images[0], 1, (0, 1)))
    assert torch.equal(found[1], torch.rot90(images[1], 2, (0, 1)))


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 12), st.integers(4, 12), st.floats(-30, 30, width=32))
def test_rotation_equals_torchvision_to_rounding(height: int, width: int, degrees: float) -> None:
    """Each pixel is within one level of torchvision's, for any size."""
    images = torch.randint(0, 256, (2, height, width, 3), dtype=torch.uint8)
    expected = reference.rotate(
        images.permute(0, 3, 1, 2).float(), degrees, InterpolationMode.BILINEAR
    )
    found = rotated(images, torch.tensor([degrees, degrees]), "zero").permute(0, 3, 1, 2)
    # torchvision fills by a mask of its own at the border: compare where it has all four pixels
    inside = (
        reference.rotate(torch.ones(2, 3, height, width), degrees, InterpolationMode.BILINEAR) == 1
    )
    assert (found.float() - expected)[inside].abs().le(1).all()


def test_reflected_corners_of_a_rotated_image_are_not_black() -> None:
    """A uniform image stays uniform."""
    images = torch.full((3, 8, 8, 1), 200, dtype=torch.uint8)
    degrees = torch.tensor([10.0, -30.0, 45.0])
    assert rotated(images, degrees, "reflect").eq(200).all()
    assert rotated(images, degrees, "zero").eq(0).any()


def test_draws_cover_all_offsets_and_angles() -> None:
    """Every crop comes up equally often, half the images are mirrored, angles go to both sides."""
    draws = draw(Augmentation(crop=4, flip=True, rotation=15), 90_000, order_seed=3, epoch=0)
    for offsets in (draws.down, draws.right):
        counts = torch.bincount(offsets, minlength=9)
        assert len(counts) == 9
        assert ((counts - 10_000).abs() < 600).all()
    assert abs(draws.flip.float().mean() - 0.5) < 0.01
    assert 14.9 < draws.degrees.max() <= 15
    assert -15 <= draws.degrees.min() < -14.9


def test_draws_depend_on_seed_and_epoch_and_not_on_each_other() -> None:
    """Turning one kind of augmentation on leaves the draws of the others alone."""
    full = draw(Augmentation(crop=4, rotation=15), 50, order_seed=3, epoch=0)
    other = draw(Augmentation(crop=4, flip=True), 50, order_seed=3, epoch=0)
    assert torch.equal(full.flip, other.flip)
    assert torch.equal(full.down, other.down)
    for seed, epoch in ((4, 0), (3, 1)):
        changed = draw(Augmentation(crop=4, rotation=15), 50, order_seed=seed, epoch=epoch)
        assert not torch.equal(full.down, changed.down)
        assert not torch.equal(full.degrees, changed.degrees)
