"""How a data set that has been read once is kept, so that reading it again takes no time.

A cache is only a copy: what its checksum does not confirm counts as absent, and is made anew from
the files of the data set. Where it cannot be written, all works without it. Two processes that
make one at the same time both move a whole file into place.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from datasets.canonical import digest, from_tensors, tensors
from foundations.errors import OpenPruneError
from foundations.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from datasets.data import Content

_NOTE = "open_prune"


@dataclass(frozen=True)
class Cached:
    """A data set from a cache.

    Args:
        content: Its tensors, in canonical order.
        digest: Their checksum.
        source: The ``fingerprint`` of the files they were read from.
    """

    content: Content
    digest: str
    source: str


def read_cache(path: Path) -> Cached | None:
    """What a cache holds; None if there is none, or it is not what was written."""
    try:
        with safe_open(path, framework="pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
            note = _note(file)
        content = from_tensors(stored)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        return None
    if digest(content) != note.get("digest"):
        return None
    return Cached(content, note["digest"], note.get("source", ""))


def read_note(path: Path) -> dict[str, str]:
    """The ``digest`` and ``source`` that a cache says it has, unchecked; empty if there is none."""
    try:
        with safe_open(path, framework="pt") as file:
            return _note(file)
    except (OSError, SafetensorError, ValueError):
        return {}


def write_cache(path: Path, content: Content, *, source: str) -> Cached:
    """Keep a data set, if the place can be written to."""
    cached = Cached(content, digest(content), source)
    # one entry: safetensors writes several in an order of its own, different every time
    note = {_NOTE: json.dumps({"digest": cached.digest, "source": source})}
    with suppress(OpenPruneError, OSError):
        write_atomically(path, save(tensors(content), note))
    return cached


def _note(file: Any) -> dict[str, str]:  # noqa: ANN401 - safetensors gives it no type
    """What ``write_cache`` wrote beside the tensors."""
    note = json.loads((file.metadata() or {}).get(_NOTE, "{}"))
    return note if isinstance(note, dict) else {}


def fingerprint(folder: Path, files: Iterable[Path]) -> str:
    """A checksum of the names, sizes and times of change of files: it notices that they changed."""
    found = hashlib.sha256()
    for path in files:
        about = path.stat()
        line = f"{path.relative_to(folder)}\n{about.st_size}\n{about.st_mtime_ns}\n"
        found.update(line.encode(errors="surrogateescape"))
    return found.hexdigest()
