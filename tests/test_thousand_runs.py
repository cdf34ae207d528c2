"""A thousand finished runs are read by every command that reads, each file of them once or twice.

How long that takes is for ``benchmarks.thousand_runs`` to tell: here the work is counted.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import open_prune
from foundations import description, files
from tests.many_runs import many_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUNS = 1000
DESCRIPTIONS = 500
"""Second replicates are described as the first ones are."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a thousand runs, for as long as these tests need it."""
    before = os.environ.get("OPEN_PRUNE_ROOT")
    root = tmp_path_factory.mktemp("thousand") / "runs"
    assert len(many_runs(root, RUNS)) == RUNS
    os.environ["OPEN_PRUNE_ROOT"] = str(root)
    yield root
    if before is None:
        del os.environ["OPEN_PRUNE_ROOT"]
    else:
        os.environ["OPEN_PRUNE_ROOT"] = before


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often files of each name were read whole."""
    counted: Counter[str] = Counter()
    read: Callable[[Path], bytes] = files.read_bytes

    def counting(path: Path) -> bytes:
        counted[path.name] += 1
        return read(path)

    monkeypatch.setattr(files, "read_bytes", counting)
    return counted


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    capsys.readouterr()
    assert open_prune.main(words) == 0
    return capsys.readouterr().out.splitlines()


ONCE = {"done.json": RUNS, "start.json": RUNS, "sparsity.json": RUNS, "hparams.json": RUNS}


def test_ls(root: Path, reads: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Four small files of each run are read once, and equal descriptions are made once."""
    description._decoded.cache_clear()
    lines = _said(capsys, "ls")
    assert len(lines) == 1 + RUNS
    assert {line.split()[2] for line in lines[1:]} == {"done"}
    assert reads == ONCE
    assert description._decoded.cache_info().misses == DESCRIPTIONS


def test_ls_tree(root: Path, reads: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each branch stands below its parent; descriptions are read for that once more."""
    lines = _said(capsys, "ls", "--tree")[1:]
    assert [line.startswith("  oneshot") for line in lines] == ([False] + [True] * 9) * 100
    assert reads == ONCE | {"hparams.json": 2 * RUNS}


def test_status(root: Path, reads: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Of a run that is done it is enough to know that it is."""
    assert _said(capsys, "status") == ["1,000 runs: 1,000 done"]
    assert not reads


def test_show(root: Path, reads: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One of a thousand is shown without a look into any other."""
    name = next(path.name for path in root.iterdir() if path.name.startswith("oneshot"))
    lines = _said(capsys, "show", f"{name}/replicate_2")
    assert lines[0] == f"{name} replicate 2: done"
    assert max(reads.values()) < 10


def test_a_few_of_many(root: Path, reads: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run looks once at what each run says of time, and a few times more at its own four."""
    words = ("lottery", "--default_hparams=digits_lenet_8", "--training_steps=2ep", "--levels=3")
    lines = _said(capsys, *words, "--lr=0.25", "--dry_run")
    assert lines[-2] == "4 runs: 3 waiting, 1 missing"
    assert lines[-1].startswith("estimated for 4 runs: ")
    assert reads["provenance.json"] == RUNS
    assert RUNS <= reads["start.json"] < RUNS + 20
