"""What a run is and what came out, as one flat row: lineage, hyperparameters, results."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from branches.base import lineage, recipe_in
from foundations.description import Description, RunRef
from foundations.errors import OpenPruneError
from foundations.hparams import Hparams
from foundations.plugins import AbsentPluginError
from foundations.run_directory import Fact
from foundations.steps import Step
from reports.words import written
from training.provenance import training_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from branches.opened import Run
    from training.description import TrainDesc

FIRST = ("name", "kind", "replicate", "state", "path", "parent", "root", "depth", "problem")
"""The columns that come before hyperparameters and results, whether or not a run has them."""

RESULTS = ("kept", "total", "density", "seconds")
"""The columns of results that have no names of their own; end metrics are columns too."""

MEASURED = ("name", "replicate", "iteration", "epoch", "phase", "metric", "value")
"""The columns of what ``measured`` gives."""


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of all columns of these rows, in order."""
    return list(dict.fromkeys([*FIRST, *(name for row in rows for name in row)]))


def row(run: Run, describe: Callable[[], Description] | None = None) -> dict[str, Any]:
    """What a run is and what came out, by column; ``commands.frame.frame`` says which there are.

    A run that cannot be read has its name, and what is wrong as its ``problem``.

    Args:
        run: Which.
        describe: Reads its description, where somebody has a quicker way.
    """
    found: dict[str, Any] = {
        "name": run.name,
        "kind": run.name.rpartition("_")[0],
        "replicate": run.directory.replicate,
        "path": str(run.path),
    }
    try:
        found |= {"state": run.state.value} | _results(run)
        description = run.description if describe is None else describe()
        found |= _described(description, recipe_in(run.directory, description))
    except AbsentPluginError as error:
        found["problem"] = str(error)
    except OpenPruneError as error:
        found |= {"state": "damaged", "problem": str(error)}
    return found


def measured(run: Run) -> Iterator[tuple[str | int | float, ...]]:
    """A row of ``MEASURED`` for each measurement; none of a damaged run: ``row`` tells of it."""
    with suppress(OpenPruneError):
        yield from measurements(run)


def measurements(run: Run) -> Iterator[tuple[str | int | float, ...]]:
    """A row of ``MEASURED`` for each measurement.

    Raises:
        OpenPruneError: The run is damaged, or cannot be read.
    """
    for line in run.metrics:
        yield (run.name, run.directory.replicate, *line)


def chosen(description: Description) -> Iterator[tuple[str, str]]:
    """The hyperparameters of a run's own groups that are not at their defaults, as flags."""
    for values in _groups(description).values():
        names = values.canonical()
        for field in dataclasses.fields(values):
            if field.name in names:
                yield field.name, written(getattr(values, field.name))


def _results(run: Run) -> dict[str, Any]:
    """What came out, as far as there is something."""
    run.directory.check_sealed()
    done = run.directory.done() or {"metrics": {}}
    found: dict[str, Any] = {name: float(value) for name, value in done["metrics"].items()}
    if (counts := run.directory.fact(Fact.SPARSITY)) is not None:
        kept, total = counts["kept"], counts["total"]
        found |= {"kept": kept, "total": total, "density": kept / total if total else 1.0}
    return found | {"seconds": training_seconds(run.directory)}


def _described(description: Description, recipe: TrainDesc) -> dict[str, Any]:
    """Lineage and hyperparameters."""
    line = lineage(description)
    groups = _groups(recipe) | _groups(description)
    return {
        "parent": line[-2].name if len(line) > 1 else None,
        "root": line[0].name,
        "depth": len(line) - 1,
    } | {
        f"{group}.{field.name}": _value(getattr(values, field.name))
        for group, values in groups.items()
        for field in dataclasses.fields(values)
    }


def _groups(description: Description) -> dict[str, Hparams]:
    """The groups of hyperparameters by name; a parent is no group."""
    parts = {
        field.name: getattr(description, field.name) for field in dataclasses.fields(description)
    }
    return {
        name: part
        for name, part in parts.items()
        if isinstance(part, Hparams) and not isinstance(part, Description)
    }


def _value(value: object) -> object:
    """A value for a cell: what is no number, text or truth value is written as its flag is."""
    return written(value) if isinstance(value, Step | RunRef | tuple | Hparams) else value
