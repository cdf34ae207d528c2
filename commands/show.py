"""``show RUN``: what is known of one run."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import recipe_in
from commands.flags import parse
from commands.parsing import platform_flags, store_of
from commands.results import accuracies, progress
from commands.sparsity import sparsity
from commands.text import decimal, duration, percent
from foundations.description import BranchDesc
from foundations.errors import UserError
from foundations.hparams import Hparams
from foundations.plugins import AbsentPluginError
from foundations.run_directory import LOG, Fact
from reports.words import in_words, written
from training.provenance import damage, training_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foundations.description import Description
    from foundations.run_directory import RunDirectory
    from foundations.tables import Metric


@dataclass(frozen=True, kw_only=True)
class ShowFlags(Hparams):
    """Which of several, and how much of it."""

    replicate: int | None = None
    """Which repetition, where there are several."""

    all: bool = False
    """Show the hyperparameters that are at their defaults too."""


def show_run(arguments: Sequence[str]) -> None:
    """Print the parts of a run's directory, for a person to read."""
    words = [word for word in arguments[:1] if not word.startswith("-")]
    flags = parse(
        "open_prune.py show RUN",
        "Show a run: RUN is its name, or an unambiguous beginning of it.",
        {"show": ShowFlags, "platform": platform_flags(arguments)},
        arguments[len(words) :],
    )
    if not words:
        raise UserError("Which run? Write open_prune.py show RUN; 'ls' lists the runs there are.")
    run = store_of(arguments).find(words[0], flags["show"].replicate)
    lines = _lines(run, whole=flags["show"].all)
    print("\n".join(lines))  # noqa: T201 - the command's output


def _lines(run: RunDirectory, *, whole: bool) -> Iterator[str]:
    yield f"{run.name} replicate {run.replicate}: {run.state.value} {progress(run)}".rstrip()
    yield from _trouble(run)
    yield f"time: {duration(training_seconds(run))}"
    if (error := damage(run)) is not None:
        yield error
    described = _described(run, whole=whole)
    yield from ("", "metrics", *_metrics(run))
    yield from described
    yield from ("", "sparsity", *_sparsity(run))
    yield from ("", f"files in {run.path}", *_files(run))


def _trouble(run: RunDirectory) -> Iterator[str]:
    """Why it failed, and where what it said is kept; why it cannot learn, or not to its end."""
    if (failure := run.failure()) is not None:
        yield f"failed: {failure}"
        if (run.path / LOG).exists():
            yield f"what it said: {run.path / LOG}"
    stops = ((run.start() or {}).get("facts") or {}).get("stops")
    if stops is not None:
        yield str(stops)


def _described(run: RunDirectory, *, whole: bool) -> list[str]:
    """Lineage and hyperparameters; or which plugin is needed to know them."""
    try:
        description = run.description(KINDS)
    except AbsentPluginError as error:
        return ["", "description", f"  {error.advice}"]
    lines = ["", "lineage", *_lineage(description)]
    lines += ["", "description", *_hyperparameters(description, whole=whole)]
    if isinstance(description, BranchDesc):
        recipe = recipe_in(run, description)
        lines += ["", "trained by", *_hyperparameters(recipe, whole=whole)]
    if not whole:
        lines.append("  (what is not shown is at its default; --all shows it)")
    return lines


def _lineage(description: Description) -> Iterator[str]:
    yield f"  {description.name}: {in_words(description)}"
    for ref in description.runs():
        at = "" if ref.step is None else f" at {ref.step}"
        for line in _lineage(ref.description):
            yield f"  from{at} {line.strip()}"
            at = ""


def _hyperparameters(description: Description, *, whole: bool) -> Iterator[str]:
    """The fields of the description's own groups that are not at their defaults, or all."""
    for group, values in vars(description).items():
        if isinstance(values, Hparams) and not hasattr(values, "runs"):
            chosen = values.canonical()
            for name, value in vars(values).items():
                if whole or name in chosen:
                    yield f"  {group}: {name}={written(value)}"


def _metrics(run: RunDirectory) -> Iterator[str]:
    rows = run.metrics()
    measured = accuracies(rows)
    if measured:
        best, last = max(measured, key=_goodness), measured[-1]
        yield f"  best test accuracy {percent(best.value)} after epoch {best.epoch}"
        yield f"  last test accuracy {percent(last.value)} after epoch {last.epoch}"
    others = {f"{row.phase} {row.name}": row for row in rows if row not in measured}
    for name, row in others.items():
        yield f"  last {name} {_value(row)} after epoch {row.epoch}"
    if not rows:
        yield "  none yet"


def _value(row: Metric) -> str:
    """A loss, a count of units that a mask keeps, or a fraction."""
    if row.phase == "mask":
        return f"{row.value:,.0f}"
    return decimal(row.value) if row.name.startswith("loss") else percent(row.value)


def _goodness(row: Metric) -> tuple[bool, float]:
    """By which the best is found: what is not a number is below every number."""
    return not math.isnan(row.value), row.value


def _sparsity(run: RunDirectory) -> Iterator[str]:
    report = run.fact(Fact.SPARSITY)
    if report is None:
        yield "  not begun"
    else:
        yield from sparsity(report)


def _files(run: RunDirectory) -> Iterator[str]:
    """Every file that is whole. A run that trains removes some while they are listed."""
    found = [Path(folder, name) for folder, _, names in os.walk(run.path) for name in names]
    for path in sorted(found):
        with suppress(FileNotFoundError):
            if path.is_file() and not path.name.endswith(".part"):
                yield f"  {path.relative_to(run.path)}  {path.stat().st_size:,} bytes"
