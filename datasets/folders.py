"""How an image folder becomes part of a description: by the checksum of its content."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from datasets import DATASETS
from datasets.dataset import cache_path
from foundations.errors import DamageError, UserError

if TYPE_CHECKING:
    from datasets.data import Content
    from datasets.hparams import DatasetHparams


def pin(hparams: DatasetHparams, root: Path, workers: int = 0) -> DatasetHparams:
    """The same with the folder's path made absolute and the checksum of its content filled in.

    Reads every image the first time. After that, while names, sizes and times of change are the
    same, the checksum is taken from the cache; ``load`` verifies it. Of a data set that stays in
    its files only names and sizes are read. Other data sets, and a checksum that is there already,
    are left alone.

    Raises:
        UserError: The folder is missing or not built as it should be.
        DamageError: A file is no image.
    """
    if hparams.folder is None or hparams.folder_digest is not None:
        return hparams
    dataset = DATASETS[hparams.dataset_name]
    if dataset.framing is not None:
        from datasets.streamed import pinned

        return pinned(dataset, hparams, root)
    from datasets.cache import read_note

    folder = locate(hparams.folder, root)
    path, mark = _cache(folder, hparams.image_size, root)
    note = read_note(path)
    if note.get("source") != mark:
        note = {"digest": _read(folder, hparams.image_size, root, workers)[1]}
    return replace(hparams, folder=str(folder), folder_digest=note["digest"])


def folder_content(hparams: DatasetHparams, root: Path, workers: int = 0) -> Content:
    """The tensors of a pinned image folder.

    Raises:
        UserError: It is not pinned, or missing.
        DamageError: Its content is not what it was when it was pinned.
    """
    if hparams.folder_digest is None:
        raise UserError(
            f"The image folder {hparams.folder} has no checksum yet: pin it first "
            "(datasets.folders.pin), so that the run is named after its content."
        )
    if hparams.folder is None:
        raise UserError(
            "It is not known where the image folder of this description lies: say it with "
            f"--folder=PATH. The checksum of its content is {hparams.folder_digest}."
        )
    folder = locate(hparams.folder, root)
    content, found = _read(folder, hparams.image_size, root, workers)
    if found != hparams.folder_digest:
        raise DamageError(
            f"The content of {folder} is not what the description was made with: its checksum is "
            f"{found}, where {hparams.folder_digest} was expected. Put the images back as they "
            "were, or leave out --folder_digest and make a new run of the new content."
        )
    return content


def locate(folder: str, root: Path, holds: str = "train/<class>/ and test/<class>/") -> Path:
    """The absolute path of an image folder, given absolute, or from here, or from the data root.

    Args:
        folder: The path that was given.
        root: The data root.
        holds: What should be in it.

    Raises:
        UserError: There is none.
    """
    given = Path(folder).expanduser()
    tried = [given.absolute()] if given.is_absolute() else [given.absolute(), root / given]
    for path in tried:
        if path.is_dir():
            return path.resolve()
    raise UserError(
        f"folder={folder!r} is not there; looked for {' and '.join(map(str, tried))}. It should "
        f"hold {holds}."
    )


def _read(folder: Path, size: int | None, root: Path, workers: int) -> tuple[Content, str]:
    """The tensors and their checksum, from the cache if the folder has not changed."""
    from datasets.cache import read_cache, write_cache
    from datasets.canonical import canonical_content
    from datasets.images import read_tree

    path, mark = _cache(folder, size, root)
    cached = read_cache(path)
    if cached is None or cached.source != mark:
        content = canonical_content(read_tree(folder, workers, size))
        cached = write_cache(path, content, source=mark)
    return cached.content, cached.digest


def _cache(folder: Path, size: int | None, root: Path) -> tuple[Path, str]:
    """The cache of a folder at an image size, and the fingerprint of what it was made from."""
    from datasets.cache import fingerprint
    from datasets.images import image_files

    which = hashlib.sha256(f"{folder}\n{size}".encode(errors="surrogateescape")).hexdigest()
    return cache_path(root, f"folder-{which[:16]}"), fingerprint(folder, image_files(folder))
