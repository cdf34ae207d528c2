"""Which runs the words of a command mean: names, or the files of sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.sweep import rooted
from foundations.errors import UserError
from foundations.store import Store
from reports.selection import of_jobs, selected
from sweeps.grid import jobs_in, unique

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.run_directory import RunDirectory
    from platforms.base import Platform


def chosen(words: Sequence[str], platform: Platform) -> list[RunDirectory]:
    """The runs that have begun of those that are meant; all there are, where there are no words.

    Raises:
        UserError: There is no such run; or names and files are given at once.
    """
    store = Store(platform.results_root())
    files = [word for word in words if word.endswith(".py")]
    if not files:
        return selected(store, words)
    if len(files) < len(words):
        raise UserError("Name files, or runs: not both at once.")
    with rooted(platform):
        return of_jobs(store, unique(job for file in files for job in jobs_in(file)))
