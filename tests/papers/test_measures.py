"""What tables show of the counts of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from papers.measures import compression, density, kept, operations, sparsity, weights

if TYPE_CHECKING:
    from collections.abc import Callable

DENSE = {"total": 10, "kept": 10}
PRUNED = {"total": 10, "kept": 4, "weights_effective": 3, "macs": 80, "macs_effective": 20}
MEASURES = (density, sparsity, compression, kept, weights, operations)


@pytest.mark.parametrize("measure", MEASURES)
def test_nothing_is_said_where_nothing_was_counted(measure: Callable[..., float | None]) -> None:
    """As of a run that has not begun."""
    assert measure(SimpleNamespace(sparsity=None)) is None


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        (DENSE, (1, 0, 1, 10, 10, None)),
        (PRUNED, (0.4, 0.6, 2.5, 4, 3, 0.25)),
        ({"total": 10, "kept": 0, "macs": 0}, (0, 1, None, 0, 10, None)),
        ({"total": 0, "kept": 0}, (1, 0, 1, 0, 0, None)),
    ],
)
def test_counts(counts: dict[str, int], found: tuple[float | None, ...]) -> None:
    """Weights and operations are those on a path, where it is known which are."""
    run = SimpleNamespace(sparsity=counts)
    assert tuple(measure(run) for measure in MEASURES) == found  # type: ignore[arg-type] # stands in
