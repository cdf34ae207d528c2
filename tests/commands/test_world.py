"""A run that two processes train survives what machines do, and comes to the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from foundations.errors import INTERRUPTED, USER_ERROR
from foundations.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from foundations.run_directory import RunDirectory

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = str(PROJECT / "open_prune.py")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
WORDS = (
    "--training_steps=120ep",
    "--checkpoint_every=1ep",
    "--evaluate_only_at_end",
    "--threads=1",
)
_PATIENCE_S = 240.0

pytestmark = pytest.mark.slow


class _World:
    """The run in a root of its own, and whoever is at work on it."""

    def __init__(self, root: Path, numerics: str = "float32_world_2") -> None:
        self.root = root
        self.words = ["train", f"--numerics={numerics}", *WORDS, f"--root={root}"]
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *before: str) -> subprocess.Popen[str]:
        """Begin, or go on; behind torchrun, or with nothing before the command."""
        self.started.append(
            subprocess.Popen(
                [*(before or [sys.executable]), PROGRAM, *self.words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        )
        return self.started[-1]

    @property
    def run(self) -> RunDirectory:
        """The run's directory."""
        (found,) = Store(self.root).runs()
        return found

    def checkpoints(self) -> list[str]:
        """What there is of checkpoints."""
        return sorted(path.name for path in self.root.glob("*/*/checkpoint/ep*"))

    def ranks(self) -> list[psutil.Process]:
        """The processes that train, in the order of their ranks."""
        found = []
        for process in self._ours():
            with suppress(psutil.Error):
                names = process.environ()
                if "RANK" in names and process.status() != psutil.STATUS_ZOMBIE:
                    found.append((int(names["RANK"]), process.pid, process))
        return [process for *_, process in sorted(found)]

    def _ours(self) -> list[psutil.Process]:
        """All processes of the run, whoever started them."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if {f"--root={self.root}", PROGRAM} <= {*process.cmdline()}:
                    found.append(process)
        return found

    def newer_checkpoint(self) -> None:
        """Wait for one that is not there yet."""
        before = self.checkpoints()
        _until(lambda: bool(set(self.checkpoints()) - set(before)))

    def end(self) -> None:
        """Kill whoever is left."""
        while ours := self._ours():
            for process in ours:  # whoever is left holds the pipes open
                process.kill()
            psutil.wait_procs(ours, timeout=1)
        for started in self.started:
            started.communicate()


def _until(what: Callable[[], bool], every_s: float = 0.05) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not what():
        assert time.monotonic() < end
        time.sleep(every_s)


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[list[_World]]:
    """Two roots, in which nobody is left at the end."""
    made = [_World(tmp_path / name) for name in ("quiet", "troubled")]
    yield made
    for world in made:
        world.end()


def test_whoever_is_lost_the_bytes_are_the_same(worlds: list[_World]) -> None:
    """Asked to stop; a rank killed, that torchrun begins again; all killed: nothing is lost."""
    quiet, troubled = worlds
    first = troubled.start()
    troubled.newer_checkpoint()
    first.send_signal(signal.SIGINT)
    told = first.communicate(timeout=_PATIENCE_S)[1]
    assert first.returncode == INTERRUPTED
    assert "Stopped by SIGINT" in told
    assert "Traceback" not in told
    assert troubled.ranks() == []

    second = troubled.start(*TORCHRUN, "--max-restarts=3")
    troubled.newer_checkpoint()
    before = [rank.pid for rank in troubled.ranks()]
    troubled.ranks()[1].kill()
    _until(lambda: len(set(_pids(troubled)) - set(before)) == 2, every_s=0.5)
    troubled.newer_checkpoint()
    second.kill()
    for rank in troubled.ranks():
        rank.kill()
    second.communicate()

    third = troubled.start()
    troubled.newer_checkpoint()
    troubled.ranks()[1].kill()
    assert third.wait(_PATIENCE_S) == 0, third.communicate()
    assert "they begin again" in third.communicate()[0]

    undisturbed = quiet.start(*TORCHRUN)
    assert undisturbed.wait(_PATIENCE_S) == 0, undisturbed.communicate()
    assert undisturbed.communicate()[0].count("test accuracy") == 2  # a line, and the table
    assert troubled.run.done()["states"] == quiet.run.done()["states"]
    assert troubled.run.digests() == quiet.run.digests()
    assert len(quiet.run.digests()) == 121


def _pids(world: _World) -> list[int]:
    return [rank.pid for rank in world.ranks()]


def test_torchrun_with_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    """Both numbers are named, and nothing is left of a run that did not begin."""
    world = _World(tmp_path, "float32_world_3")
    refused = world.start(*TORCHRUN)
    told = refused.communicate(timeout=_PATIENCE_S)[1]
    assert "a run that 3 processes train, as its numerics say, and 2 were started" in told
    assert f"exitcode  : {USER_ERROR}" in told
    assert Store(tmp_path).runs() == []
