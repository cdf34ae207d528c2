"""How the files of CIFAR-10 and CIFAR-100 are read: by torchvision, which knows their checksums.

They are pickles. torchvision compares the md5 of each with its own table before it opens one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from datasets.data import Content, Split
from foundations.errors import DamageError

if TYPE_CHECKING:
    from pathlib import Path


def read_cifar10(folder: Path, workers: int) -> Content:  # noqa: ARG001 - nothing to share out
    """CIFAR-10 from ``cifar-10-batches-py``."""
    return _read("CIFAR10", folder)


def read_cifar100(folder: Path, workers: int) -> Content:  # noqa: ARG001 - nothing to share out
    """CIFAR-100, with its 100 fine labels, from ``cifar-100-python``."""
    return _read("CIFAR100", folder)


def _read(name: str, folder: Path) -> Content:
    from torchvision import datasets as torchvision_datasets

    kind = getattr(torchvision_datasets, name)
    wrong = _wrong(kind, folder)
    if wrong:
        raise DamageError(
            f"These files in {folder} are not those of {name}: {', '.join(wrong)}: their md5 is "
            "not the one that torchvision knows. They are cut short, or from elsewhere: delete "
            "them and get them again."
        )
    return Content(*(_split(kind(folder.parent, train=train)) for train in (True, False)))


def _wrong(kind: type, folder: Path) -> list[str]:
    from torchvision.datasets.utils import check_integrity

    meta = kind.meta  # type: ignore[attr-defined]  # a class of torchvision
    listed = [*kind.train_list, *kind.test_list]  # type: ignore[attr-defined]
    listed.append([meta["filename"], meta["md5"]])
    return [file for file, md5 in listed if not check_integrity(folder / file, md5)]


def _split(read: object) -> Split:
    pixels = torch.from_numpy(read.data)  # type: ignore[attr-defined]  # (N, H, W, C), torchvision's
    labels = torch.tensor(read.targets)  # type: ignore[attr-defined]
    return Split(pixels.permute(0, 3, 1, 2), labels)
