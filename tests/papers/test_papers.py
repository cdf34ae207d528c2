"""What holds for every paper: its name, its tables at both scales, and how light it is to ask."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from branches.base import recipe_of
from papers import PAPERS
from papers.paper import Scale
from tests.foundations.source_tree import ROOT

STUDIES = [(name, table) for name in PAPERS for table in PAPERS[name].studies]


@pytest.mark.parametrize("name", [*PAPERS])
def test_a_paper_has_the_name_it_is_found_by(name: str) -> None:
    """And a title and citation to be listed with."""
    paper = PAPERS[name]
    assert paper.name == name
    assert paper.title
    assert paper.citation.endswith(".")
    assert all(re.fullmatch("[a-z0-9_]+", table) for table in paper.studies)


@pytest.mark.parametrize(("name", "table"), STUDIES)
def test_smoke_is_on_hand_written_digits(name: str, table: str) -> None:
    """One replicate, of networks that need no download."""
    study = PAPERS[name].studies[table](Scale.SMOKE)
    assert study.replicates == (1,)
    assert {recipe_of(run).dataset.dataset_name for run in study.runs} == {"digits"}


@pytest.mark.parametrize(("name", "table"), STUDIES)
def test_published_numbers_say_where_they_stand(name: str, table: str) -> None:
    """And are fractions, as what is measured is."""
    study = PAPERS[name].studies[table](Scale.FULL)
    cells = [cell.published for _, _, cell in study.table.in_order]
    points = [point for one in study.figures for curve in one.curves for point in curve.points]
    published = [number for number in (*cells, *(point.published for point in points)) if number]
    assert all(number.where for number in published)
    for _, _, cell in study.table.in_order:
        if cell.published is not None and cell.measure.unit == "%":
            assert 0 < cell.published.value < 1


@pytest.mark.parametrize(("name", "table"), STUDIES)
def test_figures_have_files_of_their_own(name: str, table: str) -> None:
    """Names that are no others', and that a file can have."""
    names = [figure.name for figure in PAPERS[name].studies[table](Scale.SMOKE).figures]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_]+", figure) for figure in names)


def test_listing_papers_imports_nothing_heavy() -> None:
    """Their modules, and those that show them, are free of torch and matplotlib."""
    code = (
        "import sys\n"
        "from papers import PAPERS\n"
        "import papers.notes, papers.writing\n"
        "titles = [PAPERS[name].title for name in PAPERS]\n"
        "print([name for name in ('torch', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"
