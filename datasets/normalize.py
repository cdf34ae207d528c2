"""How pixels become what a network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from datasets.data import pixel_major

if TYPE_CHECKING:
    from torch import Tensor

_LEVELS = 256


@dataclass(frozen=True)
class Normalize:
    """(pixel / 255 - mean) / std, as torchvision's ToTensor and Normalize, in two operations.

    Args:
        scale: float32, (W * C,): 1 / (255 std) for every value of a row of an image.
        shift: float32, (W * C,): -mean / std.
        memory_format: How the result lies in memory.
    """

    scale: Tensor
    shift: Tensor
    memory_format: torch.memory_format

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 (B, H, W, C) to float32 (B, C, H, W)."""
        count, height, width, channels = pixels.shape
        values = pixels.view(count, height, width * channels).to(torch.float32)
        # not one fused operation: its rounding could differ between a batch's body and its tail
        values = values.mul_(self.scale).add_(self.shift).view(count, height, width, channels)
        return values.permute(0, 3, 1, 2).contiguous(memory_format=self.memory_format)


def normalize(
    mean: tuple[float, ...],
    std: tuple[float, ...],
    width: int,
    device: torch.device,
    memory_format: torch.memory_format,
) -> Normalize:
    """The normalization of images of this width."""
    means, stds = (torch.tensor(values, dtype=torch.float64) for values in (mean, std))
    scale, shift = 1 / (255 * stds), -means / stds
    scale, shift = (values.float().repeat(width).to(device) for values in (scale, shift))
    return Normalize(scale, shift, memory_format)


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of pixels from 0 to 1.

    Computed from counts of the 256 levels, so that the result does not depend on the order of
    addition. A channel of a single level has the deviation 1: it can be divided by.
    """
    levels = torch.arange(_LEVELS, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in pixel_major(images).unbind(3):
        counts = torch.bincount(channel.flatten(), minlength=_LEVELS).double()
        share = counts / counts.sum()
        mean = (share * levels).sum()
        means.append(mean.item())
        stds.append((share * (levels - mean) ** 2).sum().sqrt().item() or 1.0)
    return tuple(means), tuple(stds)
