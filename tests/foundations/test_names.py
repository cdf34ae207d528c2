"""Names last: a committed table of descriptions and the names they have had since.

A line of a table is never changed. If this test fails, a default, a rounding or a spelling has
changed, and every run that anybody has stored would be lost to its name: mend that instead. A new
kind of run gets lines of its own, in a table of its own beside ``examples.json``.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from foundations.description import decode
from foundations.registry import Registry
from tests.foundations.examples import KINDS

FOLDER = Path(__file__).parent / "names"
TABLES: dict[str, Registry[Any]] = {"examples.json": KINDS}
ROWS = [
    pytest.param(kinds, row["description"], row["name"], id=row["name"])
    for table, kinds in TABLES.items()
    for row in json.loads((FOLDER / table).read_text())
]


@pytest.mark.parametrize(("kinds", "description", "name"), ROWS)
def test_a_description_has_the_name_it_always_had(
    kinds: Registry[Any], description: Any, name: str
) -> None:
    """Each line of the tables holds."""
    assert decode(description, kinds).name == name


def test_every_table_is_tested() -> None:
    """A table that lies in the folder is in the list above, and no name is there twice."""
    assert {path.name for path in FOLDER.iterdir()} == set(TABLES)
    names = [row.values[2] for row in ROWS]
    assert len(names) == len(set(names)) >= 8
