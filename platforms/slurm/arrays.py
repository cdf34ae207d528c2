"""What is known of the job arrays that were submitted: which runs are in them.

A job array is told from others by its name. Under that name there is a folder below the root,
written before the array is submitted: so what stands in the queue always says which runs it is, to
whoever looks, even where the one who submitted it died in between.
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from foundations.errors import DamageError
from foundations.files import make_directory, read_json, write_json
from platforms.crew import Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER = "slurm"
"""Below the root of the runs: for each job array its script, its runs, and what Slurm says."""

_NAME = re.compile(r"open_prune_[0-9a-f]{12}")
_RUNS = "runs.json"


@dataclass(frozen=True)
class Array:
    """A job array.

    Args:
        folder: What belongs to it; named like the array itself.
        tasks: Its runs, by their index.
    """

    folder: Path
    tasks: tuple[Task, ...]

    @classmethod
    def new(cls, root: Path, tasks: Sequence[Task]) -> Self:
        """An array of these runs, written down below the root."""
        array = cls(root / FOLDER / f"open_prune_{secrets.token_hex(6)}", tuple(tasks))
        make_directory(array.folder)
        write_json(array.folder / _RUNS, [task.to_json() for task in tasks])
        return array

    @property
    def name(self) -> str:
        """The name of the job."""
        return self.folder.name

    @property
    def script(self) -> Path:
        """Its batch script."""
        return self.folder / "batch.sh"

    def output(self, index: int | str) -> Path:
        """Where Slurm writes what a job prints before it has opened the log of its run."""
        return self.folder / f"{index}.txt"


def read(root: Path, name: str) -> Array | None:
    """The array of this name; None if it is not one of those below the root."""
    folder = root / FOLDER / name
    if _NAME.fullmatch(name):
        with suppress(FileNotFoundError, DamageError):
            return Array(folder, tuple(map(Task.from_json, read_json(folder / _RUNS))))
    return None
