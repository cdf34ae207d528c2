"""What is known of runs, read from their directories: nothing here needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.text import decimal, duration, percent, table
from foundations.run_directory import Fact, RunState
from training.provenance import training_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from foundations.tables import Metric

HEADS = ("run", "replicate", "test accuracy", "test loss", "weights kept", "time", "directory")


def summary(directories: Iterable[RunDirectory]) -> str:
    """A table of complete runs: accuracy, loss, weights kept, time and directory."""
    return table(HEADS, [_row(directory) for directory in directories])


def _row(directory: RunDirectory) -> tuple[str, ...]:
    return (
        directory.name,
        str(directory.replicate),
        percent(end_metric(directory, "test accuracy")),
        decimal(end_metric(directory, "test loss")),
        kept(directory),
        duration(training_seconds(directory)),
        str(directory.path),
    )


def end_metric(directory: RunDirectory, name: str) -> float | None:
    """What a complete run measured in the end; None where it did not, or is not complete."""
    value = ((directory.done() or {}).get("metrics") or {}).get(name)
    return None if value is None else float(value)


def kept(directory: RunDirectory) -> str:
    """The weights that are kept: ``20.00 % (53,124 of 265,600)``."""
    counts: Json = directory.fact(Fact.SPARSITY)
    if not counts:
        return "-"
    left, total = counts["kept"], counts["total"]
    return f"{percent(left / total if total else 1.0)} ({left:,} of {total:,})"


def accuracies(metrics: Iterable[Metric]) -> list[Metric]:
    """The rows of the test accuracy, in order."""
    return [row for row in metrics if (row.phase, row.name) == ("test", "accuracy")]


def progress(directory: RunDirectory) -> str:
    """How much of its training an unfinished run has behind it: ``12 %``."""
    start = directory.fact(Fact.START)
    if start is None or directory.state is RunState.DONE:
        return ""
    reached = max((row.iteration for row in directory.digests()), default=start["iteration"])
    return f"{100 * reached / max(1, start['end']):.0f} %"
