"""All runs as a data frame: hyperparameters flattened; lineage and results as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.notebook import runs as all_runs
from foundations.errors import UserError
from reports.rows import MEASURED, columns, measured, row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from branches.opened import Run
    from platforms.base import Platform


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
    rows = [row(run) for run in (all_runs(platform=platform) if runs is None else runs)]
    return _frame(rows, columns(rows))


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
    return _frame([line for run in chosen for line in measured(run)], MEASURED)


def _frame(rows: Sequence[Any], columns: Iterable[str]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise UserError("A data frame needs pandas: pip install pandas.") from error
    return pd.DataFrame(rows, columns=list(columns))
