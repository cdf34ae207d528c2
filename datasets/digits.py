"""digits: the 1,797 hand-written digits that come with scikit-learn (UCI, Alpaydin and Kaynak)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets.dataset import Dataset, Source

if TYPE_CHECKING:
    from pathlib import Path

    from datasets.data import Content

TEST_FRACTION = 0.2

DIGITS = Dataset(
    name="digits",
    summary="1,797 hand-written digits, 8x8, gray, 10 classes",
    classes=10,
    shape=(1, 8, 8),
    mean=(0.3047,),
    std=(0.3756,),
    statistics="of the training images",
    examples=(1438, 359),
    sources=(Source(folder="", needs=(), read="datasets.digits:read"),),
    package="sklearn",
    get="Comes with scikit-learn: pip install scikit-learn.",
    digest="353b4f0b9c5d494fbb522472a163abeb9cdf283150e57901f5d73a4fcf96689c",
)


def read(folder: Path, workers: int) -> Content:  # noqa: ARG001 - every source is read like this
    """The digits, with a fifth of each class for testing; the same split for ever."""
    import torch
    from sklearn.datasets import load_digits

    from datasets.canonical import canonical
    from datasets.data import Content, Split
    from datasets.transforms import held_out

    values, labels = load_digits(return_X_y=True)
    levels = torch.from_numpy(values).long()  # 0 to 16
    images = ((levels * 255 + 8) // 16).to(torch.uint8).view(-1, 1, 8, 8)
    every = canonical(Split(images, torch.from_numpy(labels).long()))
    train, test = held_out(every, TEST_FRACTION, "digits", "split")
    return Content(train, test)
