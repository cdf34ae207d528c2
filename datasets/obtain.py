"""Where the tensors of a data set come from: its cache, its files, or a download."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from datasets import DATASETS
from datasets.cache import fingerprint, read_cache, write_cache
from datasets.canonical import canonical_content, digest
from datasets.dataset import cache_path
from datasets.download import download as fetch
from foundations.errors import DamageError, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from datasets.cache import Cached
    from datasets.data import Content
    from datasets.dataset import Dataset, Source


def obtain(dataset: Dataset, root: Path, *, workers: int = 0, download: bool = True) -> Content:
    """The tensors of a data set, in canonical order.

    Args:
        dataset: Which one.
        root: The data root.
        workers: Threads that decode images.
        download: Whether to try the network if its files are missing.

    Raises:
        UserError: Its files are missing and could not be downloaded.
        DamageError: They are not those of the data set.
    """
    path = cache_path(root, _cached_as(dataset))
    cached = read_cache(path)
    if cached is not None and dataset.digest is not None and cached.digest == dataset.digest:
        return cached.content
    source = dataset.found(root)
    mark = "" if source is None else _mark(source, dataset, root)
    if cached is not None and _still_good(cached, dataset, mark):
        return cached.content
    if source is None:
        source = _downloaded(dataset, root, download=download)
        mark = _mark(source, dataset, root)
    content = canonical_content(source.reader()(root / source.folder, workers))
    check(content, dataset, root / source.folder)
    return write_cache(path, content, source=mark).content


def _cached_as(dataset: Dataset) -> str:
    """Its name; and its version, as a plugin that changes may read the same files otherwise."""
    version = DATASETS.version(dataset.name) if dataset.name in DATASETS else 1
    return dataset.name if version == 1 else f"{dataset.name}-{version}"


def check(content: Content, dataset: Dataset, place: Path) -> None:
    """Refuse tensors that are not those of the data set.

    Raises:
        DamageError: Says what is wrong, and that it lies in ``place``.
    """
    for found, expected in zip(
        (content.train, content.test), dataset.examples or (None, None), strict=True
    ):
        what = "training" if found is content.train else "test"
        _expect(
            expected in (None, len(found)),
            place,
            dataset,
            f"{len(found)} {what} images, {expected}",
        )
        size = "x".join(map(str, found.images.shape[1:]))
        right = "x".join(map(str, dataset.shape or ()))
        _expect(size == right, place, dataset, f"{what} images of {size}, {right}")
        classes = len(torch.unique(found.labels))
        top = int(found.labels.max()) + 1
        _expect(
            classes == top == dataset.classes,
            place,
            dataset,
            f"{what} labels of {max(classes, top)} classes, {dataset.classes}",
        )
    if dataset.digest is not None:
        seen = digest(content)
        _expect(seen == dataset.digest, place, dataset, f"a checksum of {seen}, {dataset.digest}")


def _expect(ok: bool, place: Path, dataset: Dataset, seen_and_expected: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not ok:
        raise DamageError(
            f"What lies in {place} is not the data set {dataset.name!r}: it has "
            f"{seen_and_expected} were expected. A file is damaged, missing or from elsewhere: "
            f"delete {place} and get it again. {dataset.get}"
        )


def _still_good(cached: Cached, dataset: Dataset, mark: str) -> bool:
    """Whether the cache of a data set of unknown checksum is of the files that are there now."""
    return dataset.digest is None and (mark in ("", cached.source))


def _mark(source: Source, dataset: Dataset, root: Path) -> str:
    """The fingerprint of the files of a source; not needed where the checksum is known."""
    if dataset.digest is not None:
        return ""
    place = root / source.folder
    named = [place / (name + end) for name in source.needs for end in ("", ".gz")]
    inside = (path for folder in named if folder.is_dir() for path in sorted(folder.rglob("*")))
    return fingerprint(place, (path for path in [*named, *inside] if path.is_file()))


def _downloaded(dataset: Dataset, root: Path, *, download: bool) -> Source:
    reason = fetch(dataset, root) if download else "downloading was not asked for"
    source = dataset.found(root)
    if source is None:
        raise UserError(missing(dataset, root, reason))
    return source


def missing(dataset: Dataset, root: Path, reason: str) -> str:
    """The message for a data set whose files are not there."""
    places = "".join(
        f"\n  {_looked_for(source, root)}" for source in dataset.sources if not dataset.package
    )
    return (
        f"The data set {dataset.name!r} is not there, and was not downloaded: {reason}."
        + (f"\nLooked for:{places}" if places else "")
        + f"\n{dataset.get}\nThe data root is {root}; --data_root=DIR or the environment "
        "variable OPEN_PRUNE_DATA sets another."
    )


def _looked_for(source: Source, root: Path) -> str:
    """A place, with what is missing there: all of it, or what is named."""
    lacking, place = source.missing(root), root / source.folder
    files = ", ".join(lacking) + (" (or with .gz)" if source.gz else "")
    if not place.is_dir():
        return f"{place}, which is not there, with {files}"
    return f"{place}, which lacks {files}"
