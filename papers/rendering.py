"""How a table is written: Markdown to be read, CSV to be computed with, LaTeX to be printed."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from papers.paper import Measure, Table
    from papers.reading import Found

COLUMNS = (
    "row",
    "column",
    "mean",
    "deviation",
    "replicates",
    "published",
    "published_deviation",
    "difference",
    "where",
    "runs",
)
"""Of the CSV file: numbers as they are measured, accuracies in [0, 1], without rounding."""

ABSENT = "-"
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
}


@dataclass(frozen=True)
class Filled:
    """A table with what came out of its runs.

    Args:
        table: What is asked for.
        found: What came out, by row and column.
        replicates: How many repetitions were asked for.
        notes: Lines below the table.
    """

    table: Table
    found: Mapping[tuple[str, str], Found]
    replicates: int
    notes: tuple[str, ...] = ()

    @property
    def measure(self) -> Measure | None:
        """What all cells show; None where they differ."""
        measures = {found.cell.measure for found in self.found.values()}
        return measures.pop() if len(measures) == 1 else None

    @property
    def caption(self) -> str:
        """What the table shows, and what its numbers are."""
        what = f"{self.measure.label}, mean" if self.measure else "Mean"
        several = self.replicates > 1
        over = f" ± deviation over {self.replicates} replicates" if several else " of 1 replicate"
        return f"{self.table.title}. {what[0].upper()}{what[1:]}{over}."


def markdown(filled: Filled) -> str:
    """A title, the table, and the notes below it."""
    heads, *rows = _grid(filled)
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (heads, *rows)]
    widths = [max(3, *(len(line[place]) for line in lines)) for place in range(len(heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [_aligned(line, widths) for line in (lines[0], rule, *lines[1:])]
    notes = [f"\n{note}" for note in filled.notes]
    return "\n".join([f"**{filled.caption}**", "", *aligned, *notes]) + "\n"


def comma_separated(filled: Filled) -> str:
    """A line for each cell; ``COLUMNS`` says what it has."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row, column, _ in filled.table.in_order:
        writer.writerow((row, column, *_fields(filled.found[row, column])))
    return text.getvalue()


def latex(filled: Filled, label: str) -> str:
    """A ``table`` environment for the package booktabs.

    Args:
        filled: The table.
        label: By which references find it.
    """
    heads, *rows = ([_escaped(cell) for cell in line] for line in _grid(filled))
    small = [line for note in filled.notes for line in note.splitlines()]
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{_escaped(filled.caption)}}}",
        f"  \\label{{{label}}}",
        f"  \\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        "    \\toprule",
        f"    {' & '.join(heads)} \\\\",
        "    \\midrule",
        *(f"    {' & '.join(row)} \\\\" for row in rows),
        "    \\bottomrule",
        "  \\end{tabular}",
        *(f"  \\par\\smallskip\\footnotesize {_escaped(line)}" for line in small),
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """The first cell to the left, numbers to the right."""
    first, *others = zip(line, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return re.sub("|".join(map(re.escape, _LATEX)), lambda found: _LATEX[found.group()], text)


def _grid(filled: Filled) -> list[list[str]]:
    """Heads and rows as texts; columns with published numbers have two more each.

    Where nothing in the table was published, one column of dashes says so.
    """
    parts = [(column, *part) for column in filled.table.columns for part in _parts(filled, column)]
    none_published = not any(found.cell.published for found in filled.found.values())
    last = ["published"] if none_published else []
    rows = [
        [row, *(_text(filled, row, column, show) for column, _, show in parts)]
        for row in filled.table.rows
    ]
    heads = [filled.table.corner, *(head for _, head, _ in parts), *last]
    return [heads, *([*row, *([ABSENT] if none_published else [])] for row in rows)]


def _parts(filled: Filled, column: str) -> Iterator[tuple[str, Callable[[Filled, Found], str]]]:
    """The columns that one column becomes: heads, and what of a cell stands in each."""
    yield column, _measured
    cells = [filled.found.get((row, column)) for row in filled.table.rows]
    if any(found is not None and found.cell.published for found in cells):
        yield "published", _published
        yield "difference", _difference


def _text(filled: Filled, row: str, column: str, show: Callable[[Filled, Found], str]) -> str:
    found = filled.found.get((row, column))
    return "" if found is None else show(filled, found)


def _measured(filled: Filled, found: Found) -> str:
    """``93.76 ± 0.12``; with how many replicates have it, where these are not all."""
    spread = found.spread
    text = _number(filled, found, spread.mean, spread.deviation)
    some = 0 < spread.count < filled.replicates
    return f"{text} ({spread.count} of {filled.replicates})" if some else text


def _published(filled: Filled, found: Found) -> str:
    published = found.cell.published
    if published is None:
        return ABSENT
    return _number(filled, found, published.value, published.deviation)


def _difference(filled: Filled, found: Found) -> str:
    text = _number(filled, found, found.difference)
    signed = found.difference is not None and not text.startswith("\N{MINUS SIGN}")
    return f"+{text}" if signed else text


def _number(
    filled: Filled, found: Found, value: float | None, deviation: float | None = None
) -> str:
    """A number as its measure shows it; with its unit where the caption does not say it."""
    if value is None:
        return ABSENT
    measure = found.cell.measure
    text = _shown(value, measure)
    if deviation:  # what is counted, and the same in all replicates, has none to show
        text = f"{text} ± {_shown(deviation, measure)}"
    return f"{text} {measure.unit}" if measure.unit and filled.measure is None else text


def _shown(value: float, measure: Measure) -> str:
    rounded = round(value * measure.factor, measure.digits) + 0.0  # which has no negative zero
    text = f"{rounded:.{measure.digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _fields(found: Found) -> list[str | float | int | None]:
    published, spread = found.cell.published, found.spread
    return [
        spread.mean,
        spread.deviation,
        spread.count,
        None if published is None else published.value,
        None if published is None else published.deviation,
        found.difference,
        "" if published is None else published.where,
        " ".join(run.name for run in found.cell.runs),
    ]
