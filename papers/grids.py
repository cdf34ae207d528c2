"""How grids become tables, and which small networks stand in for published ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from branches.describing import describe
from papers.paper import Scale, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from papers.paper import Cell
    from training.description import TrainDesc


def tabulated(
    title: str,
    corner: str,
    cells: Iterable[tuple[str, str, Cell]],
    columns: Iterable[str] = (),
) -> Table:
    """A table of cells, whose heads are in the order in which they come.

    Args:
        title: What it shows.
        corner: What the rows are.
        cells: Each with its row and column.
        columns: Those that come first, where the order is another.
    """
    found = list(cells)
    rows = tuple(dict.fromkeys(row for row, _, _ in found))
    columns = tuple(dict.fromkeys((*columns, *(column for _, column, _ in found))))
    return Table(title, corner, rows, columns, {(row, col): cell for row, col, cell in found})


def stand_in(preset: str, network: str, **hyperparameters: Any) -> TrainDesc:  # noqa: ANN401 - as the fields are
    """A small network on scikit-learn's digits, trained as a preset is but for what is given.

    Args:
        preset: Whose recipe, as ``--default_hparams`` has it.
        network: What stands in for its network.
        **hyperparameters: Shorter training, above all.
    """
    small = {"model_name": network, "dataset_name": "digits", "normalize": "own"}
    return describe(preset, **small | hyperparameters)


def below(scale: Scale) -> tuple[str, ...]:
    """What is said below tables of small networks."""
    if scale is Scale.FULL:
        return ()
    return ("Small networks on digits stand in here: published numbers are not of these.",)
