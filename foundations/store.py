"""Which runs there are below a root, and where a run is kept.

The truth is the file system: a run is a directory with the right name, and nothing keeps a list of
them. Folders that are no runs are passed over. The store knows nothing of training.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from foundations.errors import UserError
from foundations.run_directory import TRACES, RunDirectory

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description

_NAME = re.compile(r".+_[0-9a-f]{16}")
_REPLICATE = re.compile(r"replicate_(\d+)")


@dataclass(frozen=True)
class Store:
    """The runs below a root, which need not exist.

    Args:
        root: The directory in which each run has its own.
    """

    root: Path

    def run(self, description: Description, replicate: int) -> RunDirectory:
        """Where a replicate of a run is kept."""
        path = self.root / description.name / f"replicate_{replicate}"
        return RunDirectory(path, replicate)

    def runs(self) -> list[RunDirectory]:
        """Every run that has begun, by name and replicate, one that lacks files included.

        Raises:
            UserError: The root cannot be read.
        """
        try:
            folders = list(self.root.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(f"{self.root} cannot be read ({error.strerror}).") from error
        paths = [path for folder in folders for path in folder.glob("replicate_*")]
        found = [run for path in paths if (run := _as_run(path)) is not None]
        return sorted(found, key=lambda run: (run.name, run.replicate))

    def find(self, text: str, replicate: int | None = None) -> RunDirectory:
        """The run with this name, or with the one name that begins so.

        Args:
            text: A name or the beginning of one, with or without ``/replicate_<r>`` behind it.
            replicate: Which replicate, where ``text`` does not say; None means the only one.

        Raises:
            UserError: There is none, and the nearest is suggested; or there are several.
        """
        prefix, _, folder = text.strip("/").partition("/")
        if folder:
            match = _REPLICATE.fullmatch(folder)
            if match is None:
                raise UserError(f"{text!r} is no run: write a name, or '{prefix}/replicate_1'.")
            replicate = int(match[1])
        runs = self.runs()
        named = [run for run in runs if run.name == prefix]
        named = named or [run for run in runs if prefix and run.name.startswith(prefix)]
        found = [run for run in named if replicate in (None, run.replicate)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{text!r} can be any of these runs: {_list(found)}. Write more of it.")
        if named:
            raise UserError(
                f"There is no replicate {replicate} of {text!r} in {self.root}. "
                f"There is: {_list(named)}."
            )
        raise UserError(f"There is no run {text!r} in {self.root}.{_nearest(prefix, runs)}")


def _as_run(path: Path) -> RunDirectory | None:
    match = _REPLICATE.fullmatch(path.name)
    if match is None or not _NAME.fullmatch(path.parent.name):
        return None
    run = RunDirectory(path, int(match[1]))
    return run if path.name == f"replicate_{run.replicate}" and _has_begun(path) else None


def _has_begun(path: Path) -> bool:
    try:
        return any(file.name in TRACES for file in path.iterdir())
    except OSError:  # no directory, or one that is not ours to read
        return False


def _list(runs: list[RunDirectory]) -> str:
    return ", ".join(f"{run.name}/{run.path.name}" for run in runs)


def _nearest(prefix: str, runs: list[RunDirectory]) -> str:
    """A sentence that suggests the run whose name begins most like ``prefix``."""
    names = {run.name[: len(prefix)]: run.name for run in runs}
    near = get_close_matches(prefix, names, n=1, cutoff=0.5) if prefix else []
    if near:
        return f" Did you mean {names[near[0]]!r}?"
    return " 'ls' lists the runs there are." if runs else " There are no runs there yet."
