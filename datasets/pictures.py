"""How image files become pixels of one size: decoded, cropped and resized, one by one.

Needs no torch. All resizing is PIL's, bilinear with antialiasing, as torchvision does it to PIL
images.
"""

from __future__ import annotations

import math
import warnings
import zlib
from typing import TYPE_CHECKING

from foundations.errors import DamageError, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image

    from datasets.dataset import ResizedCrop

ATTEMPTS = 10
"""How many rectangles are tried for a resized crop, until one fits into the image."""

CROP_DRAWS = 2 * ATTEMPTS + 2
"""How many draws a resized crop takes: an area and a ratio for each attempt, and a place."""

_GRAY = ("1", "L")
_DEEP = ("I", "F")
"""Modes of PIL with more than 8 bits; ``I;16`` and its like begin with one of them."""


def decoded(path: Path | str) -> Image:
    """The image in a file, in 8 bits, gray or color.

    Raises:
        DamageError: It cannot be read as an image.
        UserError: It has more than 8 bits.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # a camera's notes may be broken
            with Image.open(path) as file:
                file.load()
                return _plain(file, path)
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        raise DamageError(
            f"{path} cannot be read as an image ({error}). It is cut short, or is something else: "
            "get it again, or take it away."
        ) from error


def _plain(image: Image, path: Path | str) -> Image:
    if image.mode.startswith(_DEEP):
        raise UserError(f"{path} has more than 8 bits a pixel ({image.mode}): save it with 8.")
    return image.convert("L" if image.mode in _GRAY else "RGB")


def framed(image: Image, resize: int, crop: int) -> Image:
    """The square in the center of an image whose shorter side is resized first.

    Args:
        image: Of any size.
        resize: Pixels of the shorter side.
        crop: Height and width of the square; at most ``resize``.
    """
    from PIL.Image import Resampling

    short, long = sorted(image.size)
    other = int(resize * long / short)
    width, height = (resize, other) if image.width <= image.height else (other, resize)
    if image.size != (width, height):
        image = image.resize((width, height), Resampling.BILINEAR)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    return image.crop((left, top, left + crop, top + crop))


def resized_crop(image: Image, wanted: ResizedCrop, crop: int, draws: Sequence[float]) -> Image:
    """A part of an image, resized to a square.

    Args:
        image: Of any size.
        wanted: How large a part of it, and of what form.
        crop: Height and width of the result.
        draws: ``CROP_DRAWS`` of them, from 0 to less than 1.
    """
    from PIL.Image import Resampling

    part = image.crop(region(image.size, wanted, draws))
    return part.resize((crop, crop), Resampling.BILINEAR)


def region(
    size: tuple[int, int], wanted: ResizedCrop, draws: Sequence[float]
) -> tuple[int, int, int, int]:
    """The part of an image that a resized crop takes: left, upper, right, lower.

    Area and ratio are drawn until a rectangle fits; if none does, it is the largest in the center
    whose ratio is allowed.
    """
    width, height = size
    low, high = (math.log(ratio) for ratio in wanted.ratio)
    least, most = wanted.area
    for area_draw, ratio_draw in zip(draws[0:-2:2], draws[1:-2:2], strict=True):
        area = width * height * (least + (most - least) * area_draw)
        ratio = math.exp(low + (high - low) * ratio_draw)
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            left = int(draws[-2] * (width - wide + 1))
            top = int(draws[-1] * (height - tall + 1))
            return left, top, left + wide, top + tall
    wide = min(width, round(height * wanted.ratio[1]))
    tall = min(height, round(width / wanted.ratio[0]))
    left, top = (width - wide) // 2, (height - tall) // 2
    return left, top, left + wide, top + tall
