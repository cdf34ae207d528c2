"""How a file is written so that it is whole or not there, and read so that damage is named.

Only a file under its own name counts. What is being written lies beside it as a hidden ``.part``
file, is brought to the disk (fsync) and is then moved over the name, which replaces the old file in
one stroke. Whoever is killed on the way leaves a ``.part`` file, which nobody reads and
``remove_parts`` clears away; the old file is as it was.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
from typing import TYPE_CHECKING

from foundations.errors import DamageError, OpenPruneError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from foundations.hparams import Json

PART = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT)
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)
_CHUNK = 1 << 20


def part_name(path: Path) -> Path:
    """A name beside ``path`` that nobody else uses and nobody reads."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{PART}")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, whole and on the disk, or leave what was there; makes its folder.

    Raises:
        UserError: The folder cannot be written to.
        OpenPruneError: The disk is full, or fails.
    """
    with clear_errors(path):
        make_directory(path.parent)
        part = part_name(path)
        try:
            _write_and_sync(part, data)
            os.replace(part, path)  # noqa: PTH105 - tests stop the process at each of these calls
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, as ``write_atomically`` does."""
    write_atomically(path, text.encode())


def write_json(path: Path, value: Json) -> None:
    """Write a value as JSON, as ``write_atomically`` does.

    Raises:
        ValueError: A number is not finite: JSON has no word for it.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        FileNotFoundError: There is none.
        DamageError: It is not text.
        UserError: It cannot be read.
    """
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise DamageError(f"{path} is damaged: it is no text ({error}).") from error


def read_json(path: Path) -> Json:
    """The value in a JSON file.

    Raises:
        FileNotFoundError: There is none.
        DamageError: It is no JSON.
        UserError: It cannot be read.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DamageError(
            f"{path} is damaged: it is no valid JSON ({error}). It was cut short or edited."
        ) from error


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        FileNotFoundError: There is none.
        UserError: It cannot be read.
    """
    with readable(path):
        return path.read_bytes()


def sha256_of(what: bytes | Path) -> str:
    """The sha256 of bytes, or of the bytes of a file, as 64 hex digits.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It cannot be read.
    """
    if isinstance(what, bytes):
        return hashlib.sha256(what).hexdigest()
    digest = hashlib.sha256()
    with readable(what), what.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def verify(path: Path, sha256: str) -> None:
    """Check that a file has this sha256.

    Raises:
        DamageError: It has not, or it is missing.
        UserError: It cannot be read.
    """
    try:
        right = sha256_of(path) == sha256
    except FileNotFoundError as error:
        raise missing(path) from error
    if not right:
        raise changed(path)


def missing(path: Path) -> DamageError:
    """The error for a file that should be there."""
    return DamageError(f"{path} is missing, though it was written.")


def changed(path: Path) -> DamageError:
    """The error for a file whose bytes are not those that were written."""
    return DamageError(
        f"{path} is damaged: its sha256 is not the one that was recorded when it was written. "
        "It was cut short, edited or replaced."
    )


def make_directory(path: Path) -> None:
    """Make a directory, and those it lies in, and bring their names to the disk.

    Raises:
        UserError: It cannot be made here.
        OpenPruneError: The disk is full, or fails.
    """
    if path.is_dir():
        return
    with clear_errors(path):
        make_directory(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir()
        if not path.is_dir():
            raise UserError(f"{path} should be a directory, and is something else.")
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Bring to the disk which files a directory has, where the file system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def remove_parts(directory: Path, *, apart_from: str) -> None:
    """Clear away what writers that were killed left in a directory and below.

    Only for the one who has the directory to himself: a living writer's part looks the same. The
    folder ``apart_from`` is not even looked into, for others write there, and what a walk has seen
    may be gone when it goes there.
    """
    for path in sorted(directory.iterdir()):
        if path.is_dir() and path.name != apart_from:
            remove_parts(path, apart_from="")
        elif path.name.startswith(".") and path.name.endswith(PART) and path.is_file():
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to read ``path`` into a message for the user."""
    try:
        yield
    except (PermissionError, IsADirectoryError) as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error


@contextlib.contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` into a message for the user."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise OpenPruneError(
                f"There is no space to write {path} ({error.strerror}). Free some space and run "
                "the command again: it goes on from what is saved."
            ) from error
        if error.errno in _UNWRITABLE:
            raise UserError(
                f"{path} cannot be written ({error.strerror}). Choose another folder, or "
                "make this one writable."
            ) from error
        raise OpenPruneError(f"{path} could not be written ({error}).") from error


def _write_and_sync(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
