"""Which image files a data set that stays in its files consists of, and whether it is all of it.

Both splits hold a folder for each class, which holds the images, or a folder ``images`` with them.
The images for testing may also lie together in ``val/images``, with the class of each in
``val/val_annotations.txt``, as TinyImageNet comes. Nothing is decoded.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from datasets.dataset import Dataset

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
)
ANNOTATIONS = "val_annotations.txt"

Files = list[tuple[str, int]]
"""Paths relative to the data set's folder, each with its label; by label, then by path."""


@dataclass(frozen=True)
class Listing:
    """The files of a data set.

    Args:
        folder: Where they are.
        classes: The names of the classes, in the order of their labels, which is that of names.
        train: The images to train on.
        test: The images to test on, those of ``val``.
    """

    folder: Path
    classes: tuple[str, ...]
    train: Files
    test: Files

    def lacks(self, dataset: Dataset) -> str:
        """How this differs in number from all of a data set; empty where it does not."""
        found = (len(self.classes), len(self.train), len(self.test))
        whole = (dataset.classes, *(dataset.examples or ()))
        kinds = ("classes", "training images", "images in val")
        return ", ".join(
            f"{have:,} {kind} where there should be {want:,}"
            for have, want, kind in zip(found, whole, kinds, strict=True)
            if want is not None and have != want
        )

    def digest(self) -> str:
        """The sha256 of the names and sizes of all files, by split, in order."""
        found = hashlib.sha256()
        for split in (self.train, self.test):
            for path, _ in split:
                size = (self.folder / path).stat().st_size
                found.update(f"{path}\n{size}\n".encode(errors="surrogateescape"))
            found.update(b"\n")
        return found.hexdigest()


def listing(folder: Path) -> Listing:
    """The files below a folder that holds ``train`` and ``val``.

    Raises:
        UserError: It is not built like this; says where and how.
    """
    classes = class_names(folder / "train")
    train = [
        (path, label)
        for label, name in enumerate(classes)
        for path in _of_class(folder, f"train/{name}")
    ]
    return Listing(folder, tuple(classes), train, _test(folder, classes))


def class_names(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted.

    Raises:
        UserError: There are none.
    """
    found = []
    if folder.is_dir():
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if entry.is_dir()]
    names = sorted(name for name in found if not name.startswith("."))
    if not names:
        raise UserError(f"{folder} should hold a folder of images for each class, and holds none.")
    return names


def _test(folder: Path, classes: list[str]) -> Files:
    val = folder / "val"
    if _images(val / "images"):
        return _annotated(folder, classes)
    names = [name for name in class_names(val) if name != "images"]
    if names != classes:
        odd = sorted(set(names) ^ set(classes))
        raise UserError(
            f"{folder / 'train'} and {val} must have the same folders, one for each class; in one "
            f"of them only are {_some(odd)}."
        )
    labelled = enumerate(classes)
    return [(path, label) for label, name in labelled for path in _of_class(folder, f"val/{name}")]


def _annotated(folder: Path, classes: list[str]) -> Files:
    """The images that lie together, each with the class that the annotations give it."""
    place = folder / "val" / ANNOTATIONS
    if not place.is_file():
        raise UserError(
            f"{place} is missing: it should say of which class each image of "
            f"{folder / 'val' / 'images'} is. Or sort them into a folder for each class."
        )
    rows = (line.split("\t") for line in place.read_text().splitlines() if line.strip())
    class_of = {row[0]: row[1] for row in rows if len(row) > 1}
    images, labels = _images(folder / "val" / "images"), {n: i for i, n in enumerate(classes)}
    strange = [name for name in images if class_of.get(name) not in labels]
    if strange:
        raise UserError(
            f"{place} names no class of {folder / 'train'} for {_some(strange)}: the copy is not "
            "complete, or these are other images."
        )
    return sorted(
        ((f"val/images/{name}", labels[class_of[name]]) for name in images),
        key=lambda file: (file[1], file[0]),
    )


def _of_class(folder: Path, place: str) -> list[str]:
    """The images of a class: in its folder, or in ``images`` within it."""
    for where in (place, f"{place}/images"):
        if names := _images(folder / where):
            return [f"{where}/{name}" for name in names]
    raise UserError(
        f"{folder / place} holds no images: the copy is not complete. Image files end in "
        f"{', '.join(sorted(SUFFIXES))}."
    )


def _images(folder: Path) -> list[str]:
    """The names of the images in a folder, sorted; none where there is no such folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    return sorted(name for name in names if _is_image(name))


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a million of them


def _some(names: Iterable[str], most: int = 5) -> str:
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
