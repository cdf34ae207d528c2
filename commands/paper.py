"""``paper``: a published study, from the runs that are missing to its table and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.flags import numbers, parse
from commands.hparams import CommandFlags
from commands.parsing import platform_flags
from commands.work import Work, carry_out
from foundations.errors import RunFailedError, UserError, unknown
from foundations.files import write_atomically
from foundations.hparams import Hparams
from papers import PAPERS
from papers.notes import notes
from papers.paper import Scale
from papers.reading import Results
from papers.rendering import Filled, markdown
from papers.writing import FORMATS, pictures, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from papers.paper import Paper, Study
    from platforms.base import Platform

ABOUT = """Carry out a published study: run what is missing, and print its table beside the
published one.

'paper' alone lists the papers and their tables. The table is written as Markdown, CSV and LaTeX,
the figures as PDF and PNG. The same command again runs nothing that is done."""


@dataclass(frozen=True, kw_only=True)
class PaperFlags(Hparams):
    """Which table, how large, and what becomes of it."""

    table: str | None = None
    """Which table of the paper; 'paper' alone lists them."""

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
    """The folder of the table and the figures; by default papers/ below the results root."""

    format: tuple[str, ...] = FORMATS
    """What is written: any of markdown, csv, latex, pdf, png."""

    platform: str = "local"
    """Where to run: local."""

    quiet: bool = False
    """Show no progress."""

    def check(self) -> None:
        """Refuse a scale or format that there is not, and what contradicts itself."""
        scales = [scale.value for scale in Scale]
        if self.scale not in scales:
            raise unknown("scale", self.scale, scales)
        for name in self.format:
            if name not in FORMATS:
                raise unknown("format", name, FORMATS)
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
    if not words and asked.table is None:
        print("\n\n".join("\n".join(_listed(PAPERS[name])) for name in PAPERS))  # noqa: T201
        return
    if not words:
        raise UserError(f"Which paper? Known: {', '.join(sorted(PAPERS))}.")
    _carry_out(PAPERS[words[0]], asked, flags["platform"])


def _carry_out(found: Paper, asked: PaperFlags, platform: Platform) -> None:
    """Run what is missing, unless it is only asked what that is, and show what there is.

    Raises:
        RunFailedError: Runs failed; the table is shown first.
    """
    study = _study(found, asked)
    work = _work(study, asked, platform)
    if asked.dry_run:
        carry_out(work)
        return
    failure = None if asked.no_run else _failure(work, again=asked.retry)
    _show(found, study, asked, work)
    if failure is not None:
        raise failure


def _listed(found: Paper) -> Iterator[str]:
    yield f"{found.name}: {found.title} {found.citation}".rstrip()
    yield from (f"  --table={name}" for name in found.studies)


def _study(found: Paper, asked: PaperFlags) -> Study:
    """The study that is asked for.

    Raises:
        UserError: It is not said which, or there is none.
    """
    if asked.table is None:
        raise UserError(f"Which --table of {found.name}? Known: {', '.join(found.studies)}.")
    if asked.table not in found.studies:
        raise unknown(f"table of {found.name}", asked.table, found.studies)
    return found.studies[asked.table](Scale(asked.scale))


def _work(study: Study, asked: PaperFlags, platform: Platform) -> Work:
    replicates = asked.replicates or ",".join(map(str, study.replicates))
    command = CommandFlags(
        replicates=replicates, platform=asked.platform, dry_run=asked.dry_run, quiet=asked.quiet
    )
    return Work(study.runs, command, study.options, platform.for_many())


def _failure(work: Work, *, again: bool) -> RunFailedError | None:
    """Run what is missing; what failed, for the table to be shown first."""
    try:
        carry_out(work, again=again, summarize=False)
    except RunFailedError as error:
        return error
    return None


def _show(found: Paper, study: Study, asked: PaperFlags, work: Work) -> None:
    """Write the table and the figures, then print it, and where they are."""
    replicates = numbers(work.command.replicates or "")
    root, data_root = work.platform.results_root(), work.platform.datasets_root()
    results = Results(root, data_root, replicates)
    below = notes(found, study, results)
    filled = Filled(study.table, results.table(study), len(replicates), below)
    name = f"{found.name}_{asked.table}"
    default = root / "papers" / f"{name}_{asked.scale}"
    folder = default if asked.output is None else Path(asked.output).expanduser()
    files = [*_files(filled, study, results, name, asked.format)]
    for file, data in files:
        write_atomically(folder / file, data)
    print(markdown(filled))  # noqa: T201 - the command's output
    print(*(folder / file for file, _ in files), sep="\n")  # noqa: T201 - the command's output


def _files(
    filled: Filled, study: Study, results: Results, name: str, formats: tuple[str, ...]
) -> Iterator[tuple[str, bytes]]:
    """Names and contents; where there is nothing to draw with, say so, and give tables alone."""
    for file, text in tables(filled, f"tab:{name}", formats).items():
        yield file, text.encode()
    try:
        yield from pictures(study.figures, results, formats).items()
    except UserError as error:
        print(f"No figures: {error}")  # noqa: T201 - the command's output
