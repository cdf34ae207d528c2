"""``report``: one HTML page of any set of runs, to look at in a browser."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from branches.opened import Run
from commands.chosen import chosen
from commands.flags import leading_words, parse
from commands.parsing import platform_flags
from foundations.errors import UserError
from foundations.files import write_text
from foundations.hparams import Hparams
from reports.gather import gather
from reports.writing import page

if TYPE_CHECKING:
    from collections.abc import Sequence

ABOUT = """Write one HTML page of runs: a table, curves, accuracy against sparsity, layers, lineage.

Each RUN is a name, or a beginning of names, for all runs that begin so, or NAME/replicate_1 for
one; without any, all runs are on the page. FILE.py in place of names is a sweep: its runs, and
those that they came from. The page needs no network, and may be sent to others."""


@dataclass(frozen=True, kw_only=True)
class ReportFlags(Hparams):
    """Where the page goes."""

    output: str = "report.html"
    """The file to write."""

    open: bool = False
    """Also open it in a browser."""


def report(arguments: Sequence[str]) -> None:
    """Write a page of the runs that are named, or of all."""
    words = leading_words(arguments)
    flags = parse(
        "open_prune.py report [RUN ...]",
        ABOUT,
        {"report": ReportFlags, "platform": platform_flags(arguments)},
        arguments[len(words) :],
    )
    place = Path(flags["report"].output).expanduser().absolute()
    if place.is_dir():
        raise UserError(f"output={place} is not allowed: it is a folder; name a file in it.")
    platform = flags["platform"]
    root, data_root = platform.results_root(), platform.datasets_root()
    runs = [Run(directory, data_root) for directory in chosen(words, platform)]
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = page(gather(runs, root=str(root), written=written))
    write_text(place, text)
    many = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
    none = "" if runs else f"\nThere are no runs in {root} yet."
    print(f"{place}: {many}, {len(text.encode()):,} bytes{none}")  # noqa: T201 - the command's output
    if flags["report"].open:
        webbrowser.open(place.as_uri())
