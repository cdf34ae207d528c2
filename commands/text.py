"""Tables and numbers as plain text: aligned, the same in a terminal and in a file."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweeps.survey import Status

_BRIEF = 160
"""Characters of what is told in one line."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under heads, each column as wide as its widest cell."""
    lines = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(wide) for cell, wide in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def percent(fraction: float | None) -> str:
    """A fraction as a percentage with two decimals, or a dash."""
    return "-" if fraction is None else f"{100 * fraction:.2f} %"


def decimal(value: float | None) -> str:
    """A number with four decimals, or a dash."""
    return "-" if value is None else f"{value:.4f}"


def brief(text: str) -> str:
    """A text in one line, for where it is told whole elsewhere: its beginning, if it is long."""
    return shorten(text, _BRIEF, placeholder=" ...")


def duration(seconds: float | None) -> str:
    """Seconds as a person would say them: ``3.4 s``, ``12 min 5 s``, ``2 h 3 min``."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def counts(found: Mapping[Status, int]) -> str:
    """How many runs stand where: ``9 done, 1 running``."""
    return ", ".join(f"{number:,} {status.value}" for status, number in found.items())
