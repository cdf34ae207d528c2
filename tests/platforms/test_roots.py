"""A root that takes no files: whose fault it is, and what to do."""

from __future__ import annotations

import errno
import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from foundations.errors import FAILURE, USER_ERROR, OpenPruneError
from platforms.roots import writable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("number", "code", "remedy"),
    [
        (errno.ENOSPC, FAILURE, "Free some space"),
        (errno.EDQUOT, FAILURE, "Free some space"),
        (errno.EACCES, USER_ERROR, "Choose a directory"),
        (errno.EROFS, USER_ERROR, "Choose a directory"),
    ],
)
def test_a_full_disk_is_no_wrong_directory(
    number: int, code: int, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the user's mistake, and another directory is not what it takes."""

    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OpenPruneError, match=f"{tmp_path}.*{os.strerror(number)}") as caught:
        writable(tmp_path)
    assert caught.value.exit_code == code
    assert remedy in str(caught.value)
