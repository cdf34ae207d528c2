"""What is left of a network as tables: layer by layer, with what deserves a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.text import percent, table
from pruning.alarms import alarms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from foundations.hparams import Json

    Cell = Callable[[Mapping[str, Json]], str]


def sparsity(report: Json) -> Iterator[str]:
    """The lines of a ``sparsity.json``; one from before lacks columns. Needs no torch."""
    columns = {head: cell for head, (names, cell) in _COLUMNS.items() if report.keys() >= names}
    yield from (f"  {alarm}" for alarm in alarms(report))
    rows = [(f"  {row['layer']}", _shape(row), *_cells(columns, row)) for row in report["layers"]]
    total = ("  all", "", *_cells(columns, report))
    yield table(("  layer", "shape", *columns), [*rows, total])
    for row in report.get("others", ()):
        yield f"  also cut: {row['total'] - row['kept']:,} of {row['total']:,} of {row['layer']}"


def accounting(account: Json) -> Iterator[str]:
    """The lines of a ``pruning.accounting.Account``."""
    total, others = account["total"], account["others"]
    no_path = not total["weights_effective"]
    yield from alarms({**account, "no_path": no_path})
    rows = [
        (row["layer"], _shape(row), *_cells(_ACCOUNT, row["counts"])) for row in account["layers"]
    ]
    yield table(("layer", "shape", *_ACCOUNT), [*rows, ("all", "", *_cells(_ACCOUNT, total))])
    for gate in account["gates"]:
        yield f"{gate['gate']}: {gate['open']:,} of {gate['width']:,} open"
    yield (
        f"sparsity {percent(account['sparsity'])}, effective sparsity "
        f"{percent(account['effective_sparsity'])} (weights on no path counted as cut)"
    )
    yield (
        f"all else that is stored (biases, norms): {others['bytes']:,} bytes dense, "
        f"{others['bytes_packed']:,} packed"
    )


def _cells(columns: Mapping[str, Cell], row: Mapping[str, Json]) -> tuple[str, ...]:
    return tuple(cell(row) for cell in columns.values())


def _shape(row: Mapping[str, Json]) -> str:
    return "x".join(map(str, row["shape"]))


def _count(name: str) -> Cell:
    return lambda row: f"{row[name]:,}"


def _of(part: str, whole: str) -> Cell:
    return lambda row: f"{row[part]:,} of {row[whole]:,}"


def _share(part: str, whole: str) -> Cell:
    return lambda row: percent(row[part] / row[whole] if row[whole] else 1.0)


_COLUMNS: dict[str, tuple[set[str], Cell]] = {
    "kept": (set(), _count("kept")),
    "of": (set(), _count("total")),
    "density": (set(), _share("kept", "total")),
    "on a path": ({"weights_effective"}, _count("weights_effective")),
    "kernels alive": ({"kernels"}, _of("kernels_alive", "kernels")),
    "channels alive": ({"channels"}, _of("channels_alive", "channels")),
    "MACs kept": ({"macs"}, _of("macs_kept", "macs")),
}
"""Of a ``sparsity.json``: the fields that a column needs, and what it shows."""

_ACCOUNT: dict[str, Cell] = {
    "weights kept": _of("weights_kept", "weights"),
    "density": _share("weights_kept", "weights"),
    "on a path": _count("weights_effective"),
    "kernels alive": _of("kernels_alive", "kernels"),
    "channels alive": _of("channels_alive", "channels"),
    "MACs": _count("macs"),
    "kept MACs": _count("macs_kept"),
    "effective MACs": _count("macs_effective"),
    "bytes": _count("bytes"),
    "packed": _count("bytes_packed"),
}
"""Of an account."""
