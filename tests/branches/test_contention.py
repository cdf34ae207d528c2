"""Sixteen processes want one run: one trains it, told by what it logs, and all have the result."""

from collections import Counter
from pathlib import Path

import pytest

from tests.branches.deeds import carry_out_logged
from tests.branches.runs import STEPS, Example, contents, dense, options, pruned, run
from tests.foundations.kills import start

PROCESSES = 16
WANTED = {
    "train": Example(dense()),
    "branch": Example(pruned(prune_step="2it", state_step="4it"), options(checkpoint_every="1it")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WANTED)
def test_one_of_sixteen_trains(name: str, tmp_path: Path) -> None:
    """Each update is made once, those of a run by one process, and all sixteen succeed."""
    root, log, example = tmp_path / "shared", tmp_path / "log", WANTED[name]
    processes = [start(carry_out_logged, root, example, log) for _ in range(PROCESSES)]
    (tmp_path / "go").touch()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    lines = [line.split() for line in log.read_text().splitlines()]
    updates = Counter((run_name, int(iteration)) for run_name, iteration, _ in lines)
    expected = {(example.description.name, at): 1 for at in range(1, STEPS + 1)}
    for parent in example.description.runs():
        expected |= {(parent.description.name, at): 1 for at in range(1, 5)}
    assert updates == expected
    workers = {
        run_name: {pid for name, _, pid in lines if name == run_name} for run_name, *_ in lines
    }
    assert all(len(pids) == 1 for pids in workers.values())
    run(tmp_path / "alone", example.description, example.options)
    assert contents(root) == contents(tmp_path / "alone")
