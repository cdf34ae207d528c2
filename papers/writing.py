"""Which files a study becomes, and what is in them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from papers.figures import drawn
from papers.rendering import comma_separated, latex, markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from papers.paper import Figure
    from papers.reading import Results
    from papers.rendering import Filled

TABLES = {"markdown": "table.md", "csv": "table.csv", "latex": "table.tex"}
"""Forms of a table, and the names of their files."""

PICTURES = ("pdf", "png")
"""Forms of a figure, which end the names of their files."""

FORMATS = (*TABLES, *PICTURES)


def tables(filled: Filled, label: str, formats: Collection[str]) -> dict[str, str]:
    """The table in the forms that are asked for, by the names of files.

    Args:
        filled: The table.
        label: By which a LaTeX document refers to it.
        formats: Any of ``FORMATS``.
    """
    forms: dict[str, Callable[[Filled], str]] = {
        "markdown": markdown,
        "csv": comma_separated,
        "latex": partial(latex, label=label),
    }
    return {TABLES[name]: form(filled) for name, form in forms.items() if name in formats}


def pictures(
    figures: tuple[Figure, ...], results: Results, formats: Collection[str]
) -> dict[str, bytes]:
    """The figures in the forms that are asked for, by the names of files.

    Raises:
        UserError: There are some to draw, and matplotlib is not installed.
    """
    endings = [ending for ending in PICTURES if ending in formats]
    return {
        f"{figure.name}.{ending}": data
        for figure in figures
        if endings
        for ending, data in drawn(figure, results, endings).items()
    }
