"""How torchvision downloads a data set: once, quickly given up, and whole or not at all."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import tempfile
import urllib.error
import urllib.request
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.dataset import OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datasets.dataset import Dataset

REACH_SECONDS = 5
"""How long to wait for the first answer of a server."""

STALL_SECONDS = 30
"""How long to wait for more when a download has begun."""

_ARCHIVES = (".tar.gz", ".tgz")


def download(dataset: Dataset, root: Path) -> str:
    """Download a data set into ``root``; returns why it failed, or an empty text.

    Files are fetched beside their place and moved when all are there and their checksums are
    right, so that a download that is cut off leaves nothing.
    """
    if dataset.torchvision is None or dataset.url is None:
        return "it cannot be downloaded"
    if reason := _unreachable(dataset.url):
        return reason
    try:
        (root / OWN_FOLDER).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="download-", dir=root / OWN_FOLDER) as folder:
            _fetch(dataset.torchvision, Path(folder))
            _move(Path(folder), root)
    except (OSError, RuntimeError) as error:
        return f"the download failed ({str(error).strip() or type(error).__name__})"
    return ""


def _unreachable(url: str) -> str:
    """Why a server does not answer, or an empty text."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - a constant of ours
    try:
        with urllib.request.urlopen(request, timeout=REACH_SECONDS):  # noqa: S310 - as above
            return ""
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        return f"{urllib.request.Request(url).host} does not answer ({reason})"  # noqa: S310


def _fetch(name: str, folder: Path) -> None:
    from torchvision import datasets as torchvision_datasets

    with _patience(STALL_SECONDS), _quiet():
        getattr(torchvision_datasets, name)(folder, download=True)


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Set a time limit: torchvision sets no own, and takes no argument for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Show torchvision's progress bar on a terminal only, and no warnings."""
    errors = sys.stderr if sys.stderr.isatty() else io.StringIO()
    with (
        warnings.catch_warnings(action="ignore"),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(errors),
    ):
        yield


def _move(folder: Path, root: Path) -> None:
    """Move all files to the same places under ``root``, except the archive they came in."""
    for path in sorted(folder.rglob("*")):
        target = root / path.relative_to(folder)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif not path.name.endswith(_ARCHIVES):
            path.replace(target)
