"""Tables as Markdown, CSV and LaTeX, to the letter."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from branches.describing import branch, describe
from papers.measures import ACCURACY, LOSS
from papers.paper import Cell, Measure, Table
from papers.reading import Found, Spread
from papers.rendering import COLUMNS, Filled, comma_separated, latex, markdown
from papers.writing import tables
from tests.papers.sealed import published

if TYPE_CHECKING:
    from collections.abc import Mapping

DENSE = describe("digits_lenet_8")
PRUNED = branch(DENSE, "oneshot", prune_fraction=0.75)

SNIP, RANDOM = ("snip", "75 %"), ("random", "75 %")


def filled(found: Mapping[tuple[str, str], Found], replicates: int = 2) -> Filled:
    """A table of these cells, with a note below it."""
    rows, columns = (tuple(dict.fromkeys(heads)) for heads in zip(*found, strict=True))
    cells = {place: one.cell for place, one in found.items()}
    table = Table("LeNet_8", "method", rows, columns, cells)
    return Filled(table, found, replicates, ("Below.",))


@pytest.fixture
def compared() -> Filled:
    """Two methods: the first with a published number, the second without, and half done."""
    first = Cell(PRUNED, ACCURACY, published(0.9, 0.002))
    return filled(
        {
            SNIP: Found(first, Spread((0.875, 0.895))),
            RANDOM: Found(Cell(DENSE, ACCURACY), Spread((0.5,))),
        }
    )


def test_markdown_has_what_was_measured_published_and_the_difference(compared: Filled) -> None:
    """Aligned, with dashes where nothing is, and how many replicates have a number."""
    assert markdown(compared) == (
        "**LeNet_8. Test accuracy (%), mean ± deviation over 2 replicates.**\n"
        "\n"
        "| method |           75 % |    published | difference |\n"
        "| ------ | -------------: | -----------: | ---------: |\n"
        "| snip   |   88.50 ± 1.41 | 90.00 ± 0.20 |      \N{MINUS SIGN}1.50 |\n"
        "| random | 50.00 (1 of 2) |            - |          - |\n"
        "\n"
        "Below.\n"
    )


def test_latex_is_a_table_of_booktabs(compared: Filled) -> None:
    """What LaTeX would take for its own is escaped."""
    assert latex(compared, "tab:one") == (
        "% \\usepackage{booktabs}\n"
        "\\begin{table}\n"
        "  \\centering\n"
        "  \\caption{LeNet\\_8. Test accuracy (\\%), mean $\\pm$ deviation over 2 replicates.}\n"
        "  \\label{tab:one}\n"
        "  \\begin{tabular}{lrrr}\n"
        "    \\toprule\n"
        "    method & 75 \\% & published & difference \\\\\n"
        "    \\midrule\n"
        "    snip & 88.50 $\\pm$ 1.41 & 90.00 $\\pm$ 0.20 & $-$1.50 \\\\\n"
        "    random & 50.00 (1 of 2) & - & - \\\\\n"
        "    \\bottomrule\n"
        "  \\end{tabular}\n"
        "  \\par\\smallskip\\footnotesize Below.\n"
        "\\end{table}\n"
    )


def test_csv_has_a_line_for_each_cell_without_rounding(compared: Filled) -> None:
    """Numbers as they are measured, not as they are shown."""
    heads, first, second = csv.reader(io.StringIO(comma_separated(compared)))
    assert tuple(heads) == COLUMNS
    text = dict(zip(COLUMNS, first, strict=True))
    numbers = ("mean", "deviation", "published", "published_deviation", "difference")
    assert [float(text.pop(name)) for name in numbers] == pytest.approx(
        [0.885, 0.0141421356237309, 0.9, 0.002, -0.015], rel=1e-13
    )
    assert text == {
        "row": "snip",
        "column": "75 %",
        "replicates": "2",
        "where": "Table 1",
        "runs": PRUNED.name,
    }
    assert second == ["random", "75 %", "0.5", "", "1", "", "", "", "", DENSE.name]


def test_a_table_without_published_numbers_has_a_column_of_dashes() -> None:
    """One, at its end."""
    alone = filled({SNIP: Found(Cell(PRUNED, ACCURACY), Spread((0.5,)))}, replicates=1)
    assert markdown(alone).splitlines() == [
        "**LeNet_8. Test accuracy (%), mean of 1 replicate.**",
        "",
        "| method |  75 % | published |",
        "| ------ | ----: | --------: |",
        "| snip   | 50.00 |         - |",
        "",
        "Below.",
    ]


def test_cells_of_several_measures_say_their_units() -> None:
    """The caption cannot; what is not there has none."""
    parts = {
        ("dense", "accuracy"): Found(Cell(DENSE, ACCURACY), Spread((0.5, 0.5))),
        ("dense", "loss"): Found(Cell(DENSE, LOSS), Spread((1.5, 2.0))),
        ("pruned", "accuracy"): Found(Cell(PRUNED, ACCURACY), Spread()),
    }
    assert markdown(filled(parts)).splitlines()[:5] == [
        "**LeNet_8. Mean ± deviation over 2 replicates.**",
        "",
        "| method | accuracy |            loss | published |",
        "| ------ | -------: | --------------: | --------: |",
        "| dense  |  50.00 % | 1.7500 ± 0.3536 |         - |",
    ]
    assert markdown(filled(parts)).splitlines()[5] == (
        "| pruned |        - |                 |         - |"
    )


@pytest.mark.parametrize(
    ("mean", "text"),
    [(0.90004, "+0.00"), (0.89996, "+0.00"), (0.91, "+1.00"), (0.88, "\N{MINUS SIGN}2.00")],
)
def test_a_difference_has_its_sign(mean: float, text: str) -> None:
    """There is no minus before a zero."""
    cell = Cell(PRUNED, ACCURACY, published(0.9))
    line = markdown(filled({SNIP: Found(cell, Spread((mean,)))})).splitlines()[4]
    assert line.split("|")[4].strip() == text


def test_marks_of_the_languages_are_escaped() -> None:
    """A bar in Markdown; backslashes, braces and the like in LaTeX."""
    measure = Measure(r"a|b \ {c} ~ ^ & #", digits=0)
    found = filled({("x|y", "z"): Found(Cell(DENSE, measure), Spread((1.0,)))}, replicates=1)
    assert "| x\\|y " in markdown(found)
    assert (
        r"A\textbar{}b \textbackslash{} \{c\} \textasciitilde{} \textasciicircum{} \& \#, mean of"
    ) in latex(found, "tab:two")


def test_a_published_number_without_a_run_stands_beside_nothing() -> None:
    """The difference is a dash too."""
    found = filled({SNIP: Found(Cell(None, ACCURACY, published(0.5)), Spread())})
    assert markdown(found).splitlines()[4] == "| snip   |    - |     50.00 |          - |"


def test_only_what_is_asked_for_is_written(compared: Filled) -> None:
    """By the names of the files."""
    assert tables(compared, "tab:one", ("csv", "png")) == {"table.csv": comma_separated(compared)}
    assert [*tables(compared, "t", ("latex", "markdown"))] == ["table.md", "table.tex"]


def test_the_grid_does_not_depend_on_the_order_of_the_cells(compared: Filled) -> None:
    """Rows and columns are the table's."""
    turned = dict(reversed(list(compared.found.items())))
    assert markdown(replace(compared, found=turned)) == markdown(compared)
