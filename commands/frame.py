"""All runs as a data frame: hyperparameters flattened; lineage and results as columns."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from branches.base import lineage
from commands.ls import written
from commands.notebook import runs as all_runs
from foundations.description import Description, RunRef
from foundations.errors import OpenPruneError, UserError
from foundations.hparams import Hparams
from foundations.plugins import AbsentPluginError
from foundations.run_directory import Fact
from foundations.steps import Step
from training.provenance import training_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from branches.opened import Run
    from platforms.base import Platform
    from training.description import TrainDesc

_FIRST = ("name", "kind", "replicate", "state", "path", "parent", "root", "depth", "problem")
_METRICS = ("name", "replicate", "iteration", "epoch", "phase", "metric", "value")


def frame(runs: Iterable[Run] | None = None, *, platform: Platform | None = None) -> pd.DataFrame:
    """A row for each replicate of each run.

    Columns: ``name``, ``kind``, ``replicate``, ``state`` (done, running, interrupted, failed, new,
    or damaged), ``path``; the lineage: ``parent`` and ``root`` (names of the run branched from and
    of the oldest one), ``depth`` (0 for a run without a parent); ``problem`` (why it cannot be
    read, where it cannot). Then the hyperparameters: ``model.model_name``, ``dataset.batch_size``,
    ``training.lr``, ... by which the run trains, and of a branch ``branch.strategy``, ...; steps,
    lists and other runs are texts, as the flags are given. Then what a complete run measured in the
    end, ``test accuracy`` in [0, 1]; ``kept``, ``total`` and ``density`` of the prunable weights;
    and ``seconds`` of training. What a run does not have is missing (NaN or None).

    Args:
        runs: Which; by default all there are.
        platform: Where; by default this machine.

    Raises:
        UserError: pandas is not installed.
    """
    rows = [_row(run) for run in (all_runs(platform=platform) if runs is None else runs)]
    return _frame(rows, dict.fromkeys([*_FIRST, *(name for row in rows for name in row)]))


def metrics_frame(
    runs: Iterable[Run] | None = None, *, platform: Platform | None = None
) -> pd.DataFrame:
    """A row for each measurement of each run.

    Columns: ``name``, ``replicate``, ``iteration``, ``epoch``, ``phase`` (train, test, validation;
    mask, where a run is pruned while it trains), ``metric`` (accuracy, loss, kept, ...), ``value``.
    The first two are those of ``frame``, to merge by.
    Damaged runs are left out.

    Args:
        runs: Which; by default all there are.
        platform: Where; by default this machine.

    Raises:
        UserError: pandas is not installed.
    """
    chosen = all_runs(platform=platform) if runs is None else runs
    return _frame([row for run in chosen for row in _measured(run)], _METRICS)


def _frame(rows: Sequence[Any], columns: Iterable[str]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise UserError("A data frame needs pandas: pip install pandas.") from error
    return pd.DataFrame(rows, columns=list(columns))


def _row(run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": run.name,
        "kind": run.name.rpartition("_")[0],
        "replicate": run.directory.replicate,
        "path": str(run.path),
    }
    try:
        row |= {"state": run.state.value} | _results(run)
        row |= _described(run.description, run.recipe)
    except AbsentPluginError as error:
        row["problem"] = str(error)
    except OpenPruneError as error:
        row |= {"state": "damaged", "problem": str(error)}
    return row


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


def _measured(run: Run) -> Iterator[tuple[str | int | float, ...]]:
    try:
        for row in run.metrics:
            yield (run.name, run.directory.replicate, *row)
    except OpenPruneError:  # ``frame`` tells of it
        return
