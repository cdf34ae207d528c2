"""Which means and standard deviations a description may name instead of the data set's own."""

from __future__ import annotations

from foundations.errors import UserError

OWN = "own"

NORMALIZATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "half": ((0.5,), (0.5,)),
    "cifar": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar10": ((0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)),
    "wide_resnet": (
        (125.3 / 255, 123.0 / 255, 113.9 / 255),
        (63.0 / 255, 62.1 / 255, 66.7 / 255),
    ),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and standard deviation of each channel, of pixels from 0 to 1; a single one is for all.

Those of CIFAR are what code of pruning papers commonly has. The deviations of ``cifar`` are means
over the images of CIFAR-10 of the deviation within each, and so smaller than that of all pixels,
which ``cifar10`` has; ``wide_resnet`` has the same rounded to tenths of 255ths, as the code of that
paper does.
"""


def named(name: str, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each of so many channels.

    Raises:
        UserError: They are those of color images, and these are gray.
    """
    mean, std = NORMALIZATIONS[name]
    if len(mean) not in {1, channels}:
        raise UserError(
            f"normalize={name!r} is not allowed: it has a mean and a standard deviation for each "
            f"of {len(mean)} channels, and these images have {channels}."
        )
    return (mean, std) if len(mean) == channels else (mean * channels, std * channels)
