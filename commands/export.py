"""``export [RUN ...]``: runs, what was measured, or their layers, as CSV or Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from branches import KINDS
from commands.chosen import chosen
from commands.flags import leading_words, parse
from commands.parsing import platform_flags
from foundations.errors import UserError, check_known
from foundations.hparams import Hparams
from foundations.run_directory import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.run_directory import RunDirectory

_WHAT = ("runs", "metrics", "layers")


@dataclass(frozen=True, kw_only=True)
class ExportFlags(Hparams):
    """What is exported, and where to."""

    output: str | None = None
    """The file: its ending, .csv or .parquet, says how it is written. What was there is replaced,
    once all is written."""

    what: str = "runs"
    """The rows: runs (hyperparameters, lineage and results, a row for each replicate), metrics (a
    row for each measurement) or layers (how many weights of each are kept)."""

    kind: tuple[str, ...] = ()
    """Only runs of these kinds: train, oneshot, lottery_rewind, ..."""

    state: tuple[str, ...] = ()
    """Only runs that are done, running, interrupted, failed or new; several with commas."""

    def check(self) -> None:
        """Refuse what there is not."""
        states = [state.value for state in RunState]
        for what, values, known in (
            ("thing to export", (self.what,), _WHAT),
            (KINDS.what, self.kind, tuple(KINDS)),
            ("state of a run", self.state, states),
        ):
            for value in values:
                check_known(what, value, known)


def export(arguments: Sequence[str]) -> None:
    """Write the file, and say how many rows it has."""
    words = leading_words(arguments)
    flags = parse(
        "open_prune.py export [RUN ...]",
        "Write runs to a file: all there are, or those that are named. RUN is the beginning of "
        "names, or NAME/replicate_1; FILE.py is a sweep: its runs, and those that they came from. "
        "The columns are those of open_prune.frame() and open_prune.metrics_frame().",
        {"export": ExportFlags, "platform": platform_flags(arguments)},
        arguments[len(words) :],
    )
    asked, platform = flags["export"], flags["platform"]
    if asked.output is None:
        raise UserError("Where to? Write --output=FILE.csv or --output=FILE.parquet.")
    from branches.opened import Run
    from reports.export import WHAT, writer_for

    path = Path(asked.output).expanduser()
    write = writer_for(path)
    runs = [run for run in chosen(words, platform) if _is(run, asked)]
    table = WHAT[asked.what](Run(run, platform.datasets_root()) for run in runs)
    write(table, path)
    count = len(runs) - len(table.left_out)
    print(  # noqa: T201 - the command's output
        f"{path}: {len(table.rows):,} rows and {len(table.columns)} columns of {count:,} runs"
    )
    for why in table.left_out:
        print(f"left out: {why}")  # noqa: T201 - the command's output


def _is(run: RunDirectory, asked: ExportFlags) -> bool:
    """Whether a run is of a kind and in a state that is asked for."""
    kind = not asked.kind or run.name.rpartition("_")[0] in asked.kind
    return kind and (not asked.state or run.state.value in asked.state)
