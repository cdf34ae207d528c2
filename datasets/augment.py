"""How training images are mirrored, cropped, rotated and stretched: a batch at once.

The draws of an epoch are made beforehand on the CPU, by a generator keyed by the epoch, for the
positions of the epoch's order: what happens to an image depends neither on the size of the batches
nor on which of them were drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import torch
from torch.nn.functional import affine_grid, grid_sample

from foundations.draws import generator

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor

    from datasets.dataset import Augmentation


@dataclass(frozen=True)
class Draws:
    """What happens to the image at each position of an epoch.

    Args:
        flip: bool, (N,): it is mirrored.
        down: int64, (N,): the row of the padded image at which the crop begins.
        right: int64, (N,): the column.
        degrees: float32, (N,): the angle by which it is rotated, counterclockwise.
        stretch: float32, (N, 2): the factors of its width and of its height.
        key: Of the epoch: what else is drawn for an image is keyed by this and the image's number.
    """

    flip: Tensor
    down: Tensor
    right: Tensor
    degrees: Tensor
    stretch: Tensor | None = None
    key: tuple[str | int, ...] = ()

    def arrays(self) -> tuple[np.ndarray, ...]:
        """The five tensors, which are on the CPU, as arrays: to be sent to another process."""
        tensors = (self.flip, self.down, self.right, self.degrees, self.stretch)
        return tuple(tensor.numpy() for tensor in tensors if tensor is not None)

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return self._each(lambda value: value.to(device))

    def __getitem__(self, part: slice) -> Self:
        return self._each(lambda value: value[part])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(
            self,
            flip=change(self.flip),
            down=change(self.down),
            right=change(self.right),
            degrees=change(self.degrees),
            stretch=None if self.stretch is None else change(self.stretch),
        )


def draw(
    augmentation: Augmentation,
    count: int,
    *,
    order_seed: int,
    epoch: int,
    purpose: str = "augmentation",
    labels: Tensor | None = None,
) -> Draws:
    """The draws of an epoch for ``count`` positions.

    All are drawn whether they are used or not, so that what one of them gives does not depend on
    which others are on.

    Args:
        augmentation: How far they go.
        count: How many positions there are.
        order_seed: The seed of the order and the augmentation of the data.
        epoch: Which epoch.
        purpose: What the images are for.
        labels: int64, (N,), on the CPU: the label at each position, for angles that depend on it.
    """
    key = (order_seed, purpose, epoch)
    keyed = generator(*key)
    flip = torch.randint(2, (count,), generator=keyed) == 1
    steps = 2 * augmentation.crop + 1
    down, right = torch.rand(2, count, generator=keyed, dtype=torch.float64).mul(steps).long()
    turn, wide, high = (
        torch.rand(count, generator=keyed, dtype=torch.float64).mul(2).sub(1) for _ in range(3)
    )
    degrees = turn.mul(_largest_angles(augmentation, labels)).float()
    stretch = torch.stack([wide, high], dim=1).mul(augmentation.stretch).add(1).float()
    return Draws(flip, down, right, degrees, stretch, key)


def _largest_angles(augmentation: Augmentation, labels: Tensor | None) -> Tensor | float:
    """The largest angle of each position, in degrees."""
    if not augmentation.rotation_labels:
        return augmentation.rotation
    if labels is None:
        raise ValueError("angles that depend on labels need them")
    angles = torch.full(labels.shape, augmentation.rotation, dtype=torch.float64)
    for label, angle in augmentation.rotation_labels:
        angles[labels == label] = angle
    return angles


@dataclass(frozen=True)
class PixelTable:
    """All pixels of all images as the rows of a table, and a black one at the end.

    Args:
        rows: uint8, (N * H * W + 1, C).
        height: Of an image.
        width: Of an image.
    """

    rows: Tensor
    height: int
    width: int

    @classmethod
    def of(cls, images: Tensor) -> PixelTable:
        """The table of images uint8, (N, H, W, C)."""
        rows = images.reshape(-1, images.shape[3])
        return cls(torch.cat([rows, rows.new_zeros(1, rows.shape[1])]), *images.shape[1:3])


def augmented(
    table: PixelTable,
    indices: Tensor,
    draws: Draws,
    augmentation: Augmentation,
    sideways: Tensor | None = None,
) -> Tensor:
    """Some of the images, augmented.

    Mirroring and cropping only say which pixel goes where, so both are one look-up in the table.

    Args:
        table: The pixels of all images.
        indices: int64, (B,): which images.
        draws: What happens to them, in the same order.
        augmentation: How much of it.
        sideways: bool, (B,): which images lie on their side; they are mirrored top to bottom.

    Returns:
        uint8, (B, H, W, C).
    """
    height, width = table.height, table.width
    flip = draws.flip & augmentation.flip
    upside = None if sideways is None else flip & sideways
    flip = flip if sideways is None else flip & ~sideways
    rows, row_inside = _line(height, draws.down, augmentation, upside)
    columns, column_inside = _line(width, draws.right, augmentation, flip)
    black = len(table.rows) - 1
    starts = indices[:, None] * (height * width) + rows * width
    starts = torch.where(row_inside, starts, black)
    columns = torch.where(column_inside, columns, black)
    places = (starts[:, :, None] + columns[:, None, :]).clamp_(max=black)
    images = table.rows.index_select(0, places.flatten()).view(*places.shape, -1)
    if augmentation.bends:
        stretch = draws.stretch if augmentation.stretch else None
        images = rotated(images, draws.degrees, augmentation.crop_mode, stretch)
    return images


def rotated(images: Tensor, degrees: Tensor, mode: str, stretch: Tensor | None = None) -> Tensor:
    """Images rotated about their center, then stretched from it; bilinear, in one go.

    Args:
        images: uint8, (B, H, W, C).
        degrees: float32, (B,), counterclockwise.
        mode: What fills the corners, and the borders of a shrunk image: ``"zero"`` or
            ``"reflect"``.
        stretch: float32, (B, 2): the factors of width and height, if any.
    """
    height, width = images.shape[1:3]
    angle = degrees * (math.pi / 180)
    cos, sin, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    # affine_grid measures both sides from -1 to 1, so a turn must know their ratio
    theta = torch.stack(
        [cos, -sin * (height / width), zero, sin * (width / height), cos, zero], dim=1
    ).view(-1, 2, 3)
    if stretch is not None:  # the grid says where each pixel comes from, so factors divide
        theta = theta / torch.cat([stretch, torch.ones_like(stretch[:, :1])], dim=1)[:, None]
    pixels = images.permute(0, 3, 1, 2).float()
    grid = affine_grid(theta, list(pixels.shape), align_corners=False)
    padding = "zeros" if mode == "zero" else "reflection"
    found = grid_sample(pixels, grid, padding_mode=padding, align_corners=False)
    return found.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _line(
    size: int, offsets: Tensor, augmentation: Augmentation, flip: Tensor | None
) -> tuple[Tensor, Tensor]:
    """For each image and place along a side: the place it is taken from, and if that is inside."""
    crop = augmentation.crop
    at = torch.arange(size, device=offsets.device) + (offsets[:, None] - crop)
    if augmentation.crop_mode == "reflect":
        at = (size - 1) - ((size - 1) - at.abs()).abs()
    if flip is not None:  # mirrored first, then cropped, as OpenLTH does
        at = torch.where(flip[:, None], (size - 1) - at, at)
    return at, (at >= 0) & (at < size)
