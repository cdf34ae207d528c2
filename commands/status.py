"""``status``: how far many runs are, on one screen that is kept up to date."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from commands.flags import leading_words, numbers, parse
from commands.parsing import platform_flags
from commands.screen import Screen, as_text
from commands.sweep import rooted
from foundations.errors import UserError
from foundations.hparams import Hparams
from foundations.store import Store
from reports.selection import selected
from sweeps.goals import goals
from sweeps.grid import jobs_in, unique
from sweeps.survey import Status, survey, survey_of_runs, with_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from branches.run import Job
    from platforms.base import Platform
    from sweeps.survey import Row

    Look = Callable[[], list[Row]]
    """Tells where the runs stand now."""

ABOUT = """Show how far runs are: done, running, waiting for which parent, failed and why.

'status FILE.py' is for the runs of a sweep, 'status NAME ...' for those whose names begin so, and
'status' for all. With --platform=slurm it tells of the jobs in the queue, too. On a terminal it is
kept up to date until Ctrl-C, or until all are done."""


@dataclass(frozen=True, kw_only=True)
class StatusFlags(Hparams):
    """How to look."""

    every: float = 2.0
    """Seconds between two looks."""

    once: bool = False
    """Print once, with nothing left out, and end; so it is where the output is no terminal."""

    replicates: str | None = None
    """Of a file: repetitions in place of those that it names: 1-5, or 1,3,7."""

    platform: str = "local"
    """Whose queue is looked at as well: local, which has none, or slurm."""

    def check(self) -> None:
        """Refuse to look all the time."""
        self.require(self.every > 0, "every", "more than 0 seconds")


def status(arguments: Sequence[str]) -> None:
    """Show where the runs of files, those that are named, or all stand."""
    words = leading_words(arguments)
    flags = parse(
        "open_prune.py status [FILE.py | NAME ...]",
        ABOUT,
        {"status": StatusFlags, "platform": platform_flags(arguments)},
        arguments[len(words) :],
    )
    platform = flags["platform"]
    runs = _look(words, flags["status"], platform)

    def look() -> list[Row]:
        return with_queue(runs(), platform.queued())

    if flags["status"].once or sys.stdout is None or not sys.stdout.isatty():
        print(as_text(look()))  # noqa: T201 - the command's output
    else:
        watch(look, flags["status"].every)


def watch(look: Look, every_s: float) -> None:
    """Keep a screen up to date until all runs are done, or somebody presses Ctrl-C.

    Args:
        look: Tells where the runs stand.
        every_s: Seconds between two looks.
    """
    try:
        with Screen() as screen:
            while True:
                rows = look()
                screen.show(rows)
                if all(row.status is Status.DONE for row in rows):
                    return
                time.sleep(every_s)
    except KeyboardInterrupt:  # it was looked at long enough
        return


def _look(words: Sequence[str], flags: StatusFlags, platform: Platform) -> Look:
    """How the runs that the words mean are looked at.

    Raises:
        UserError: A file cannot be read, or names are mixed with files.
    """
    store = Store(platform.results_root())
    files = [word for word in words if word.endswith(".py")]
    if files and len(files) < len(words):
        raise UserError("Name files, or runs: not both at once.")
    if files:
        replicates = None if flags.replicates is None else numbers(flags.replicates)
        with rooted(platform):
            jobs = unique(job for file in files for job in jobs_in(file, replicates))
        return partial(_of_jobs, jobs, store)
    if flags.replicates is not None:
        raise UserError("--replicates is for a file; 'status NAME/replicate_1' names one of a run.")
    return partial(_of_names, words, store)


def _of_jobs(jobs: Sequence[Job], store: Store) -> list[Row]:
    """The runs of a sweep, and those that they need."""
    return survey(goals(jobs, (), store), store)


def _of_names(words: Sequence[str], store: Store) -> list[Row]:
    return survey_of_runs(selected(store, words), store)
