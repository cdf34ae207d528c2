"""Where runs and data sets are kept: a flag, an environment variable, the user's data directory."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from platformdirs import user_data_dir

from foundations.errors import OpenPruneError, UserError

RESULTS_VARIABLE = "OPEN_PRUNE_ROOT"
DATA_VARIABLE = "OPEN_PRUNE_DATA"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def results_root(flag: str | None) -> Path:
    """Where runs are kept: ``--root``, then ``OPEN_PRUNE_ROOT``, then the data directory."""
    return _first(flag, RESULTS_VARIABLE, "runs")


def datasets_root(flag: str | None) -> Path:
    """Where data sets are: ``--data_root``, then ``OPEN_PRUNE_DATA``, then the data directory."""
    return _first(flag, DATA_VARIABLE, "data")


def writable(root: Path) -> Path:
    """``root``, made if need be.

    Permissions are not asked but tried: they lie for a superuser, a read-only or a full disk.

    Raises:
        UserError: A file cannot be written there.
        OpenPruneError: The disk is full.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as probe:
            probe.write(b"can this be written?")
    except OSError as error:
        if error.errno in _FULL:
            raise OpenPruneError(
                f"Runs cannot be written to {root}: the disk is full ({error.strerror}). Free some "
                "space and run the command again."
            ) from error
        raise UserError(
            f"Runs cannot be written to {root}: {error.strerror or error}. Choose a directory that "
            f"you may write to, with --root=DIR or the environment variable {RESULTS_VARIABLE}."
        ) from error
    return root


def _first(flag: str | None, variable: str, folder: str) -> Path:
    """An absolute path, so that a later change of directory does not move it."""
    chosen = flag or os.environ.get(variable) or Path(user_data_dir("open_prune")) / folder
    return Path(chosen).expanduser().absolute()
