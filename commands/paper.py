"""``paper``: a published study, from the runs that are missing to its table and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.flags import numbers, parse
from commands.hparams import CommandFlags
from commands.paper_tables import Chosen, names, needed
from commands.parsing import platform_flags
from commands.work import Work, carry_out
from foundations.errors import RunFailedError, UserError, check_known
from foundations.files import make_directory
from foundations.hparams import Hparams
from papers import PAPERS
from papers.paper import Scale
from papers.writing import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from papers.paper import Paper
    from platforms.base import Platform
    from training.hparams import RunOptions

ABOUT = """Carry out a published study: run what is missing, and print its table beside the
published one.

'paper' alone lists the papers and their tables. The table is written as Markdown, CSV and LaTeX,
the figures as PDF and PNG. The same command again runs nothing that is done. --table=all is the
whole paper: its tables share their runs."""


@dataclass(frozen=True, kw_only=True)
class PaperFlags(Hparams):
    """Which table, how large, and what becomes of it."""

    table: tuple[str, ...] = ()
    """Which table of the paper, or several: resnet20,vgg16; or all. 'paper' alone lists them."""

    scale: str = "full"
    """full: as published; smoke: the same from end to end in about a minute, on digits."""

    replicates: str | None = None
    """Which repetitions: 1-5, or 1,3,7; by default as many as the study has."""

    no_run: bool = False
    """Run nothing: show what is there."""

    retry: bool = False
    """Try runs again that failed before."""

    dry_run: bool = False
    """Print what would run and what is done already, and do nothing else."""

    output: str | None = None
    """The folder of the table and the figures, of several a folder each; by default papers/ below
    the results root."""

    format: tuple[str, ...] = FORMATS
    """What is written: any of markdown, csv, latex, pdf, png."""

    platform: str = "local"
    """Where to run: local or slurm."""

    quiet: bool = False
    """Show no progress."""

    def check(self) -> None:
        """Refuse a scale or format that there is not, and what contradicts itself."""
        scales = [scale.value for scale in Scale]
        check_known("scale", self.scale, scales)
        for name in self.format:
            check_known("format", name, FORMATS)
        if self.no_run and self.dry_run:
            raise UserError("--dry_run says what would run, and --no_run that nothing does.")


def paper(arguments: Sequence[str]) -> None:
    """Parse the flags, run what is missing, and print and write the table."""
    words = [word for word in arguments[:1] if not word.startswith("-")]
    flags = parse(
        "open_prune.py paper NAME",
        ABOUT,
        {"paper": PaperFlags, "platform": platform_flags(arguments)},
        arguments[len(words) :],
    )
    asked = flags["paper"]
    if not words and not asked.table:
        print("\n\n".join("\n".join(_listed(PAPERS[name])) for name in PAPERS))  # noqa: T201
        return
    if not words:
        raise UserError(f"Which paper? Known: {', '.join(sorted(PAPERS))}.")
    _carry_out(PAPERS[words[0]], asked, flags["platform"])


def _carry_out(found: Paper, asked: PaperFlags, platform: Platform) -> None:
    """Run what is missing, unless it is only asked what that is, and show what there is.

    Raises:
        RunFailedError: Runs failed; the tables are shown first.
    """
    chosen = _chosen(found, asked, platform)
    works = _works(chosen, asked, platform)
    if asked.dry_run:
        for work in works:
            carry_out(work, again=asked.retry)
        return
    for table in chosen:  # what cannot be written is said before anything has run
        make_directory(table.folder)
    failures = [] if asked.no_run else [*_failures(works, again=asked.retry)]
    for table in chosen:
        table.show(platform, asked.format)
    if failures:
        raise RunFailedError("\n".join(map(str, failures)))


def _listed(found: Paper) -> Iterator[str]:
    yield f"{found.name}: {found.title}"
    if found.citation:
        yield f"  {found.citation}"
    yield from (f"  --table={name}" for name in found.studies)


def _chosen(found: Paper, asked: PaperFlags, platform: Platform) -> list[Chosen]:
    """The tables that are asked for, each with a folder of its own."""
    every = names(found, asked.table)
    scale = Scale(asked.scale)
    studies = {name: found.studies[name](scale) for name in every}
    given = None if asked.replicates is None else numbers(asked.replicates)
    return [
        Chosen(found, name, study, given or study.replicates, _folder(found, name, asked, platform))
        for name, study in studies.items()
    ]


def _folder(found: Paper, name: str, asked: PaperFlags, platform: Platform) -> Path:
    """Below the results root, or where it is asked for; several tables are kept apart there."""
    if asked.output is None:
        return platform.results_root() / "papers" / f"{found.name}_{name}_{asked.scale}"
    folder = Path(asked.output).expanduser()
    return folder / name if len(names(found, asked.table)) > 1 else folder


def _works(chosen: Sequence[Chosen], asked: PaperFlags, platform: Platform) -> list[Work]:
    """What is to be run: in one go, but for what is recorded otherwise."""
    by_options: dict[RunOptions, list[Chosen]] = {}
    for table in chosen:
        by_options.setdefault(table.study.options, []).append(table)
    command = CommandFlags(platform=asked.platform, dry_run=asked.dry_run, quiet=asked.quiet)
    several = platform.for_many()
    works = []
    for options, together in by_options.items():
        jobs = tuple(needed(together))
        runs = {job.description.name: job.description for job in jobs}
        works.append(Work(tuple(runs.values()), command, options, several, jobs))
    return works


def _failures(works: Sequence[Work], *, again: bool) -> Iterator[RunFailedError]:
    """Run what is missing; what failed, for the tables to be shown first."""
    for work in works:
        try:
            carry_out(work, again=again, summarize=False)
        except RunFailedError as error:
            yield error
