"""A data set that stays in its files: which they are, by name and label, and nothing of the pixels.

What is not all of a published data set must not have its name. So one that lies in the data root
must be complete; what else lies in a folder that is given is a data set of its own, named after the
checksum of the names and sizes of its files. The bytes of 150 GB are not read for that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from datasets.data import Content, Split
from datasets.listing import listing
from datasets.obtain import missing
from datasets.workers import Workers
from foundations.errors import DamageError, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from datasets.dataset import Dataset, Framing
    from datasets.hparams import DatasetHparams
    from datasets.listing import Files, Listing


@dataclass(frozen=True)
class ImageFiles:
    """The files of the examples of a split.

    Args:
        folder: Below which they all are.
        names: bytes, (N,): their paths in it. A million of them take 40 MB; as objects, 150.
        framing: How the images are brought to one size.
        workers: The processes that read them, shared by all splits.
    """

    folder: Path
    names: np.ndarray
    framing: Framing
    workers: Workers

    def paths(self, numbers: Tensor) -> tuple[str, ...]:
        """The paths of some of them, by number."""
        chosen = self.names[numbers.numpy()]
        return tuple(os.path.join(self.folder, os.fsdecode(name)) for name in chosen)  # noqa: PTH118 - for every image of every batch


@dataclass(frozen=True)
class Streamed(Split):
    """Examples whose images stay in their files.

    Args:
        files: Where the images are. ``images``, uint8 (0, 3, H, W), only has their shape.
    """

    files: ImageFiles = field(kw_only=True)

    def take(self, indices: Tensor) -> Streamed:
        """The examples at ``indices``, in that order."""
        names = self.files.names[indices.cpu().numpy()]
        return replace(self, labels=self.labels[indices], files=replace(self.files, names=names))

    def to(self, device: torch.device | str) -> Streamed:
        """The same with its labels on a device; images get there batch by batch."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


def streamed_content(
    dataset: Dataset, hparams: DatasetHparams, root: Path, workers: int = 0
) -> Content:
    """The examples of a data set that stays in its files; no image is read.

    Args:
        dataset: Which one.
        hparams: Say where it is, if not in the data root.
        root: The data root.
        workers: How many processes shall read images.

    Raises:
        UserError: It is not there, or not all of it.
        DamageError: The files are not those that the description was made with.
    """
    listed = listing(located(dataset, hparams, root))
    if hparams.folder_digest is None:
        check_complete(listed, dataset)
    elif (found := listed.digest()) != hparams.folder_digest:
        raise DamageError(
            f"The files in {listed.folder} are not those that the description was made with: the "
            f"checksum of their names and sizes is {found}, where {hparams.folder_digest} was "
            "expected. Put them back as they were, or leave out --folder_digest and make a new run."
        )
    shared = Workers(workers)
    return Content(
        *(_split(files, listed, dataset, shared) for files in (listed.train, listed.test))
    )


def pinned(dataset: Dataset, hparams: DatasetHparams, root: Path) -> DatasetHparams:
    """The same with the folder's path made absolute, and a checksum unless it is all there is.

    Raises:
        UserError: The folder is missing or not built as it should be.
    """
    listed = listing(located(dataset, hparams, root))
    digest = listed.digest() if listed.lacks(dataset) else None
    return replace(hparams, folder=str(listed.folder), folder_digest=digest)


def located(dataset: Dataset, hparams: DatasetHparams, root: Path) -> Path:
    """The folder of a data set: the one that is given, or that in the data root.

    Raises:
        UserError: There is none.
    """
    from datasets.folders import locate

    if hparams.folder is not None:
        return locate(hparams.folder, root, "train/<class>/ and val/<class>/")
    source = dataset.found(root)
    if source is None:
        raise UserError(missing(dataset, root, "that is left to you"))
    return root / source.folder


def check_complete(listed: Listing, dataset: Dataset) -> None:
    """Refuse what is not all of a data set.

    Raises:
        UserError: Says how many images and classes there are, and what to do.
    """
    if lacks := listed.lacks(dataset):
        raise UserError(
            f"What lies in {listed.folder} is not all of {dataset.name!r}, or not only that: "
            f"{lacks}. {dataset.get} To use just what is there, give --folder={listed.folder}: it "
            "is then a data set of its own, and its runs are named after the list of its files."
        )


def _split(files: Files, listed: Listing, dataset: Dataset, workers: Workers) -> Streamed:
    if dataset.framing is None or dataset.shape is None:
        raise ValueError(f"{dataset.name} is not described as one that stays in its files")
    names = np.array([os.fsencode(path) for path, _ in files])
    return Streamed(
        torch.empty((0, *dataset.shape), dtype=torch.uint8),
        torch.tensor([label for _, label in files]),
        files=ImageFiles(listed.folder, names, dataset.framing, workers),
    )
