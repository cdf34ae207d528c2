"""Which tables of a paper are asked for, what they need, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branches.run import Job
from foundations.errors import UserError, check_known
from foundations.files import write_atomically
from papers.notes import notes
from papers.reading import Results
from papers.rendering import Filled, markdown
from papers.writing import pictures, tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from papers.paper import Paper, Study
    from platforms.base import Platform

ALL = "all"
"""The name that stands for every table of a paper."""


@dataclass(frozen=True)
class Chosen:
    """A table that is asked for.

    Args:
        paper: Of which paper.
        name: Its name there.
        study: What it is, at the scale that is asked for.
        replicates: Which repetitions are.
        folder: Where its files go.
    """

    paper: Paper
    name: str
    study: Study
    replicates: tuple[int, ...]
    folder: Path

    @property
    def jobs(self) -> list[Job]:
        """Its runs, with their replicates."""
        return [Job(run, number) for number in self.replicates for run in self.study.runs]

    def show(self, platform: Platform, formats: Collection[str]) -> None:
        """Print the table as far as it is there, write its files, and print where they are."""
        results = Results(platform.results_root(), platform.datasets_root(), self.replicates)
        below = notes(self.paper, self.study, results)
        filled = Filled(self.study.table, results.table(self.study), len(self.replicates), below)
        print(markdown(filled))  # noqa: T201 - the command's output
        for file, data in self._files(filled, results, formats):
            write_atomically(self.folder / file, data)
            print(self.folder / file)  # noqa: T201 - the command's output

    def _files(
        self, filled: Filled, results: Results, formats: Collection[str]
    ) -> Iterator[tuple[str, bytes]]:
        """Names and contents; where there is nothing to draw with, say so: tables alone."""
        label = f"tab:{self.paper.name}_{self.name}"
        for file, text in tables(filled, label, formats).items():
            yield file, text.encode()
        try:
            yield from pictures(self.study.figures, results, formats).items()
        except UserError as error:
            print(f"No figures: {error}")  # noqa: T201 - the command's output


def names(paper: Paper, asked: Sequence[str]) -> tuple[str, ...]:
    """The tables of a paper that are asked for; where nothing is said, the only one.

    Raises:
        UserError: There is none of such a name; or several, and none is named.
    """
    known = tuple(paper.studies)
    if not asked and len(known) > 1:
        raise UserError(
            f"Which --table of {paper.name}? Known: {', '.join(known)}; or several of them, "
            f"--table={','.join(known[:2])}, or --table={ALL}."
        )
    for name in asked:
        check_known(f"table of {paper.name}", name, (*known, ALL))
    return known if not asked or ALL in asked else tuple(dict.fromkeys(asked))


def needed(tables_asked: Sequence[Chosen]) -> list[Job]:
    """The runs of several tables, each once; a replicate is finished before the next begins."""
    found = {
        (job.description.name, job.replicate): job for table in tables_asked for job in table.jobs
    }
    return sorted(found.values(), key=lambda job: job.replicate)
