"""The copies that stand for a thousand runs are runs, as far as anybody can tell who reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches import KINDS
from foundations.run_directory import RunState
from foundations.store import Store
from tests.many_runs import many_runs

if TYPE_CHECKING:
    from pathlib import Path


def test_copies_are_whole_runs(tmp_path: Path) -> None:
    """Each is done, is the run that its name says, has right checksums, and is found."""
    made = many_runs(tmp_path / "runs", 31)
    assert len({(run.name, run.replicate) for run in made}) == 31
    found = Store(tmp_path / "runs").runs()
    assert sorted(run.path for run in made) == sorted(run.path for run in found)
    for run in made:
        assert run.state is RunState.DONE
        run.description(KINDS)
        run.verify()
    assert [run.replicate for run in made] == [1] * 10 + [2] * 10 + [1] * 10 + [2]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
