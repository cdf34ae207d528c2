"""``report``: the page of all runs, of named ones, or of a sweep, as a file."""

from __future__ import annotations

import json
import re
import webbrowser
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands.conftest import DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli

SWEEP = """
import open_prune

replicates = (1, 5)

def runs():
    dense = open_prune.describe("digits_lenet_8", training_steps="2ep")
    yield open_prune.branch(dense, "oneshot")
"""


def _data(path: Path) -> dict[str, Any]:
    found = re.search(r'type="application/json">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def _runs(path: Path) -> list[tuple[str, int]]:
    return [(run["name"], run["replicate"]) for run in _data(path)["runs"]]


def test_all_runs(cli: Cli, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default report.html, of all there are; the path is printed."""
    monkeypatch.chdir(tmp_path)
    told = cli("report")
    page = tmp_path / "report.html"
    assert told.code == 0, told.err
    assert told.out == f"{page}: 2 runs, {page.stat().st_size:,} bytes\n"
    assert _runs(page) == [(PRUNED, 1), (DENSE, 1)]
    assert _data(page)["root"] == str(done)


def test_named_runs(cli: Cli, done: Path, tmp_path: Path) -> None:
    """Names, beginnings of them, and single replicates."""
    assert cli(*TRAIN, "--replicate=2", "--quiet").code == 0
    page = tmp_path / "new" / "page.html"
    for words, runs in (
        (("train",), [(DENSE, 1), (DENSE, 2)]),
        (("one", f"{DENSE}/replicate_2"), [(PRUNED, 1), (DENSE, 2)]),
    ):
        told = cli("report", *words, f"--output={page}")
        assert told.code == 0, told.err
        assert _runs(page) == runs
        assert told.out.startswith(f"{page}: 2 runs, ")


def test_a_sweep(cli: Cli, done: Path, tmp_path: Path) -> None:
    """Those of its runs that have begun, and those that they came from."""
    file, page = tmp_path / "sweep.py", tmp_path / "page.html"
    file.write_text(SWEEP)
    assert cli(*TRAIN, "--lr=0.5", "--quiet").code == 0  # which is not in it
    told = cli("report", str(file), f"--output={page}")
    assert told.code == 0, told.err
    assert _runs(page) == [(PRUNED, 1), (DENSE, 1)]


def test_no_runs(cli: Cli, root: Path, tmp_path: Path) -> None:
    """There is a page all the same; where they were looked for is told."""
    page = tmp_path / "page.html"
    told = cli("report", f"--output={page}")
    assert told.code == 0, told.err
    assert told.out.endswith(f"\nThere are no runs in {root} yet.\n")
    assert _data(page)["runs"] == []
    assert not root.exists()


def test_a_browser_is_opened_where_it_is_asked_for(
    cli: Cli, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the address of the file."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    page = tmp_path / "my runs.html"
    assert cli("report", f"--output={page}").code == 0
    assert opened == []
    assert cli("report", f"--output={page}", "--open").code == 0
    assert opened == [page.as_uri()]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "There is no run 'nothing'"),
        (("train", "nothing.py"), "Name files, or runs: not both at once."),
        (("nothing.py",), "nothing.py cannot be read"),
        (("--output=.",), "it is a folder; name a file in it."),
        (("--output=/proc/report.html",), "/proc/report.html"),
        (("--ouput=a",), "Did you mean --output?"),
    ],
)
def test_mistakes(cli: Cli, done: Path, words: tuple[str, ...], said: str) -> None:
    """They are told in a line or two, and nothing is written."""
    told = cli("report", *words)
    assert told.code in {1, 2}
    assert said in told.err
    assert told.out == ""


def test_what_was_there_stays_until_the_page_is_whole(cli: Cli, done: Path, tmp_path: Path) -> None:
    """The file is another one afterwards, and nothing lies beside it."""
    page = tmp_path / "pages" / "page.html"
    page.parent.mkdir()
    page.write_text("old")
    with page.open() as old:
        assert cli("report", f"--output={page}").code == 0
        assert old.read() == "old"
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    assert _runs(page) == [(PRUNED, 1), (DENSE, 1)]
