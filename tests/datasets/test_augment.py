"""Batched augmentation against slow references that take one image at a time."""

from __future__ import annotations

import itertools
import math
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


def slowly_bent(image: Tensor, degrees: float, factors: tuple[float, float]) -> Tensor:
    """One image (H, W, C), rotated and then stretched: each pixel by itself, in float64."""
    height, width, channels = image.shape
    angle = math.radians(degrees)
    padded = np.zeros((height + 2, width + 2, channels))
    padded[1:-1, 1:-1] = image.numpy()
    found = np.zeros((height, width, channels))
    for row, column in np.ndindex(height, width):
        x = (column - (width - 1) / 2) / factors[0]
        y = (row - (height - 1) / 2) / factors[1]
        across = math.cos(angle) * x - math.sin(angle) * y + (width - 1) / 2
        down = math.sin(angle) * x + math.cos(angle) * y + (height - 1) / 2
        left, top = math.floor(across), math.floor(down)
        for near, far in itertools.product((0, 1), repeat=2):
            part = (1 - abs(down - top - near)) * (1 - abs(across - left - far))
            if -1 <= top + near <= height and -1 <= left + far <= width:
                found[row, column] += part * padded[top + near + 1, left + far + 1]
    return torch.from_numpy(found)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(4, 9),
    st.integers(4, 9),
    st.floats(-30, 30, width=32),
    st.floats(0.75, 1.25, width=32),
    st.floats(0.75, 1.25, width=32),
)
def test_rotating_and_stretching_equal_a_slow_reference(
    height: int, width: int, degrees: float, wide: float, high: float
) -> None:
    """Within the rounding to a level, borders included, for any size."""
    keyed = torch.Generator().manual_seed(height * width)
    image = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=keyed)
    stretch = torch.tensor([[wide, high], [1.0, 1.0]])
    found = rotated(torch.stack([image, image]), torch.tensor([degrees, 0.0]), "zero", stretch)
    expected = slowly_bent(image, degrees, (wide, high))
    assert (found[0].double() - expected).abs().max() < 0.51
    assert torch.equal(found[1], image)


def test_a_stretched_image_keeps_its_center_and_its_size() -> None:
    """Twice as wide shows the middle half; half as high has black above and below."""
    image = torch.arange(64, dtype=torch.uint8).view(1, 8, 8, 1)
    wide = rotated(image, torch.zeros(1), "zero", torch.tensor([[2.0, 1.0]]))
    assert wide.shape == image.shape
    assert wide[0, 0, :, 0].tolist() == [2, 2, 3, 3, 4, 4, 5, 5]  # 1.75, 2.25, 2.75, ...
    high = rotated(image + 100, torch.zeros(1), "zero", torch.tensor([[1.0, 0.5]]))
    assert high[0, :2].eq(0).all()
    assert high[0, 6:].eq(0).all()
    assert high[0, 2:6].ne(0).all()


def test_angles_depend_on_labels_and_factors_cover_their_range() -> None:
    """Labels 1 and 7 turn half as far; the other draws stay what they are without labels."""
    both = ((1, 7.5), (7, 7.5))
    full = Augmentation(crop=2, rotation=15, rotation_labels=both, stretch=0.2)
    labels = torch.arange(20_000) % 10
    draws = draw(full, 20_000, order_seed=3, epoch=0, labels=labels)
    plain = draw(Augmentation(crop=2, rotation=15), 20_000, order_seed=3, epoch=0)
    small = (labels == 1) | (labels == 7)
    torch.testing.assert_close(draws.degrees[small], plain.degrees[small] / 2)
    assert torch.equal(draws.degrees[~small], plain.degrees[~small])
    assert 7.4 < draws.degrees[small].abs().max() <= 7.5
    assert torch.equal(draws.down, plain.down)
    assert draws.stretch is not None
    for factors in draws.stretch.T:
        assert 0.8 <= factors.min() < 0.801
        assert 1.199 < factors.max() <= 1.2
        assert abs(factors.mean() - 1) < 0.005
    assert abs(torch.corrcoef(draws.stretch.T)[0, 1]) < 0.03


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
