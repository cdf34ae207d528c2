"""Sweeps end complete whoever is killed: the runs are those that nothing has disturbed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from branches.run import Job
from foundations.errors import INTERRUPTED
from foundations.run_directory import RunState
from foundations.store import Store
from platforms.local import Local
from sweeps import schedule
from sweeps.goals import goals
from tests.sweeps.sweeping import (
    FLAGS,
    GRID,
    begin,
    begun,
    grid,
    kept,
    overlapping,
    quiet,
    trained_more_than_once,
    wait_for,
    workers,
)

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 6

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the runs of the grid leave where nothing happens."""
    root = tmp_path_factory.mktemp("quiet") / "runs"
    quiet(root)
    return kept(root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where runs are kept."""
    return tmp_path / "runs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the grid."""
    path = tmp_path / "grid.py"
    path.write_text(GRID)
    return path


def check(root: Path, undisturbed: dict[str, bytes]) -> None:
    """Every run is done, was trained once, and is the same."""
    assert {run.state for run in Store(root).runs()} == {RunState.DONE}
    assert kept(root) == undisturbed
    assert trained_more_than_once(root) == []
    assert overlapping(root) == []


def test_workers_are_killed_at_random_times(
    root: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others take their runs over from the last checkpoint."""
    monkeypatch.setattr(schedule, "LOSSES", KILLS + 1)  # chance may hit the same run again
    draw, over = random.Random(5), threading.Event()  # noqa: S311 - it keeps no secret
    killed: list[int] = []

    def kill() -> None:
        while len(killed) < KILLS and not over.wait(draw.uniform(0.5, 4.0)):
            if at_work := workers(os.getpid()):
                victim = draw.choice(at_work)
                victim.kill()
                killed.append(victim.pid)

    platform = Local(
        root=str(root), data_root=str(root.parent / "data"), device="cpu", threads=1, workers=2
    )
    crew = platform.crew(FLAGS[:1])
    assert crew is not None
    store = Store(root)
    jobs = [Job(made, replicate) for replicate in (1, 2) for made in grid()]
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        ended = schedule.carry_out(goals(jobs, (), store), crew, store)
    finally:
        over.set()
        killer.join()
        crew.close()
    assert len(killed) >= 2
    assert (len(ended.done), ended.failed) == (10, ())
    check(root, undisturbed)
    assert workers(os.getpid()) == []


def test_two_sweeps_of_the_same_grid_at_once(
    root: Path, file: Path, undisturbed: dict[str, bytes]
) -> None:
    """They share the runs out between them: none is trained twice."""
    both = [begin(file, root), begin(file, root)]
    told = [sweep.communicate() for sweep in both]
    assert [sweep.returncode for sweep in both] == [0, 0], told
    check(root, undisturbed)


def test_ctrl_c_saves_and_the_same_command_continues(
    root: Path, file: Path, undisturbed: dict[str, bytes]
) -> None:
    """Its workers save what they do, and leave with it; the exit code says that it can go on."""
    stopped = begin(file, root)
    wait_for(lambda: begun(root))
    at_work = workers(stopped.pid)
    stopped.send_signal(signal.SIGINT)
    out, err = stopped.communicate()
    assert stopped.returncode == INTERRUPTED, err
    assert "Run the same command again to continue." in err
    assert "Traceback" not in out + err
    assert at_work
    assert not any(worker.is_running() for worker in at_work)
    again = begin(file, root)
    told = again.communicate()
    assert again.returncode == 0, told
    check(root, undisturbed)


def test_a_second_ctrl_c_ends_at_once(root: Path, file: Path) -> None:
    """Workers that are at work are killed: what they had saved stays."""
    stopped = begin(file, root)
    wait_for(lambda: begun(root))
    at_work = workers(stopped.pid)
    for worker in at_work:
        worker.suspend()  # who does not hear
    stopped.send_signal(signal.SIGINT)
    time.sleep(1)
    assert stopped.poll() is None
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate()
    assert (stopped.returncode, "Traceback" in err) == (INTERRUPTED, False)
    psutil.wait_procs(at_work, timeout=60)
    assert not any(worker.is_running() for worker in at_work)


def test_the_sweep_itself_is_killed(root: Path, file: Path, undisturbed: dict[str, bytes]) -> None:
    """Its workers end their run and leave; the same command does what is left."""
    killed = begin(file, root)
    wait_for(lambda: begun(root))
    at_work = workers(killed.pid)
    killed.kill()
    killed.communicate()
    assert at_work
    psutil.wait_procs(at_work, timeout=120)
    assert not any(worker.is_running() for worker in at_work)
    again = begin(file, root)
    told = again.communicate()
    assert again.returncode == 0, told
    check(root, undisturbed)
