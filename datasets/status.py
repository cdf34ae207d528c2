"""Which data sets are there, where they are looked for, and how to get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasets import DATASETS
from datasets.dataset import cache_path
from datasets.listing import class_names
from foundations.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from datasets.dataset import Dataset


@dataclass(frozen=True)
class Status:
    """What the ``data`` command says of a data set.

    Args:
        name: Its name.
        summary: What it is.
        present: Whether it is there; None if it lies where the user says.
        where: In which folder, or that it comes with a package; empty if it is not there.
        looked: Where it is looked for.
        lacks: What is missing in each of those places.
        get: How to get it.
        downloads: Whether it is downloaded when it is first used.
    """

    name: str
    summary: str
    present: bool | None
    where: str
    looked: tuple[Path, ...]
    lacks: tuple[str, ...]
    get: str
    downloads: bool


def status(root: Path) -> list[Status]:
    """The status of every data set under a data root; reads no data."""
    return [_status(DATASETS[name], root) for name in DATASETS]


def _status(dataset: Dataset, root: Path) -> Status:
    where = _where(dataset, root)
    return Status(
        name=dataset.name,
        summary=dataset.summary,
        present=None if dataset.by_path else bool(where),
        where=where,
        looked=dataset.looked(root),
        lacks=tuple(", ".join(source.missing(root)) for source in dataset.sources),
        get=dataset.get,
        downloads=dataset.torchvision is not None,
    )


def _where(dataset: Dataset, root: Path) -> str:
    source = dataset.found(root)
    if source is not None:
        place = root / source.folder
        if dataset.package:
            return f"the package {dataset.package}"
        return f"{place}{_part(dataset, place)}"
    cache = cache_path(root, dataset.name)
    return str(cache) if cache.is_file() else ""


def _part(dataset: Dataset, place: Path) -> str:
    """How many classes there are of a data set that stays in its files, if not all; else nothing.

    Its images are counted when it is used: there may be a million.
    """
    if dataset.framing is None:
        return ""
    try:
        found = len(class_names(place / "train"))
    except UserError:
        found = 0
    return "" if found == dataset.classes else f" ({found:,} of {dataset.classes:,} classes)"
