"""Runs on a real Slurm: arrays that wait for each other, and everything that ends a job early."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from foundations.run_directory import DIGESTS, DONE, LOG, RunDirectory, RunState
from foundations.store import Store
from platforms.crew import Task
from platforms.slurm import Slurm, script
from platforms.slurm.arrays import Array
from tests.branches.runs import dense, pruned, run
from tests.platforms.slurm.cluster import Cluster, lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foundations.description import Description

ROOT = Path(__file__).parents[3]
HELD = ROOT / "tests/platforms/slurm/held.py"
WAIT_S = 600
SMALL = ("--model_name=digits_lenet_8", "--batch_size=512", "--training_steps=12it")
BRANCH = ("branch", "train", "oneshot", *SMALL, "--prune_step=12it")

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.skipif(bool(lacking()), reason=f"Slurm is not installed: no {lacking()}"),
]

MANY = """
import open_prune
small = {"model_name": "digits_lenet_8", "batch_size": 512, "training_steps": "12it"}

def runs():
    dense = open_prune.describe(**small)
    yield from open_prune.lottery(dense, 2)
    yield open_prune.branch(dense, "oneshot", prune_fraction=0.9, prune_step="12it")
    diverging = open_prune.describe(**small, lr=3e38)
    yield open_prune.branch(diverging, "oneshot", prune_step="12it")
"""


@dataclass(frozen=True)
class Site:
    """A cluster, and where runs are kept that it carries out; nothing is shared between tests."""

    cluster: Cluster
    folder: Path

    @property
    def root(self) -> Path:
        """Where runs are kept."""
        return self.folder / "runs"

    @contextmanager
    def command(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command of this project that has its runs carried out by Slurm."""
        held = self.folder / "held"
        held.mkdir(exist_ok=True)
        roots = (f"--root={self.root}", f"--data_root={self.cluster.folder / 'data'}")
        place = ("--platform=slurm", *roots, "--poll_s=0.5", f"--python={held}.sh")
        Path(f"{held}.sh").write_text(f'#!/bin/sh\nexec {sys.executable} {HELD} "$@"\n')
        Path(f"{held}.sh").chmod(0o755)
        with subprocess.Popen(
            [sys.executable, str(ROOT / "open_prune.py"), *words, *place],
            env=self.cluster.environ | {"HELD": str(held)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def ended(self, *words: str) -> tuple[int, str]:
        """The exit code of such a command, and what it said."""
        with self.command(*words) as process:
            said, _ = process.communicate(timeout=WAIT_S)
        return process.returncode, said

    def hold(self, run: Description) -> None:
        """Have a run wait in the middle, once it is there."""
        (self.folder / "held").mkdir(exist_ok=True)
        (self.folder / "held" / run.name).touch()

    def wait_until_held(self, run: Description) -> None:
        """Wait until it does."""
        reached = self.folder / "held" / f"{run.name}.reached"
        self.cluster.wait_for(f"{run.name} in the middle", reached.exists)
        reached.unlink()

    def let_go(self, run: Description) -> None:
        """Have it wait no longer."""
        (self.folder / "held" / run.name).unlink()

    def directory(self, run: Description) -> RunDirectory:
        """The directory of a run."""
        return Store(self.root).run(run, 1)

    def log(self, run: Description) -> str:
        """The log of a run."""
        return (self.directory(run).path / LOG).read_text()

    def jobs(self) -> list[tuple[str, str, str]]:
        """Number, state and node of all jobs that this site has submitted, by their number."""
        names = ",".join(path.name for path in (self.root / "slurm").iterdir())
        told = self.cluster.ask(
            *("squeue", "--noheader", "--array", "--states=all", "--sort=i", f"--name={names}"),
            "--format=%F_%K|%T|%N",
        )
        return [(job, state, node) for job, state, node in map(_three, told.splitlines())]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Slurm of two nodes."""
    with Cluster() as started:
        yield started


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    """Runs of one test on it."""
    return Site(cluster, tmp_path)


@pytest.fixture(scope="module")
def limited(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, subprocess.Popen[str]]]:
    """A command whose run waits longer than its job has time; Slurm looks every half minute."""
    site = Site(cluster, tmp_path_factory.mktemp("limited"))
    site.hold(dense())
    limit = ("--time=1", "--signal_delay_s=30", "--constraint=two")
    with site.command("train", *SMALL, *limit) as process:
        site.wait_until_held(dense())
        yield site, process


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that nothing has come in between of."""
    return run(tmp_path_factory.mktemp("undisturbed") / "runs", dense())


@pytest.mark.usefixtures("limited")  # its time passes meanwhile
def test_what_waits_for_the_same_is_one_array_and_a_failed_run_stops_no_other(site: Site) -> None:
    """A lottery's levels wait for each other; only what needs the failed run does not begin."""
    file = site.folder / "many.py"
    file.write_text(MANY)
    code, said = site.ended("sweep", str(file))
    assert code == 1, said
    assert "The loss is nan" in said, said
    runs = Store(site.root).runs()
    assert sorted(run.state.value for run in runs) == ["done"] * 4 + ["failed", "new"]
    arrays = [job.partition("_")[0] for job, _, _ in site.jobs()]
    assert sorted(map(arrays.count, set(arrays))) == [1, 1, 2, 2]
    assert [state for _, state, _ in site.jobs()].count("CANCELLED") == 1  # by Slurm

    again, _ = site.ended("sweep", str(file))
    assert again == 1
    assert len(site.jobs()) == 6  # nothing was submitted


def test_slurm_understands_all_that_it_is_asked_for(site: Site) -> None:
    """It says when such a job would begin, without taking it; and refuses what there is not."""
    everything = Slurm(
        root=str(site.root),
        partition="high",
        account="pruning",
        qos="normal",
        constraint="one|two",
        time="0-1:30",
        cpus=2,
        gpus=1,
        mem_gb=0.25,
    )
    task = Task(f"{dense().name}/replicate_1")

    def asked(platform: Slurm) -> str:
        array = Array.new(site.root, [task])
        array.script.write_text(script.text(array, platform, (), None))
        return site.cluster.ask("sbatch", "--test-only", str(array.script))

    asked(everything)
    with pytest.raises(AssertionError, match="node configuration"):
        asked(replace(everything, gpus=2))


def test_a_run_that_is_preempted_goes_on_from_its_checkpoint(
    site: Site, undisturbed: RunDirectory
) -> None:
    """Its bytes are those of a run that nothing has come in between of."""
    site.hold(dense())
    with site.command("train", *SMALL, "--constraint=one") as process:
        site.wait_until_held(dense())
        urgent = ("--partition=high", "--constraint=one", "--exclusive", "--output=/dev/null")
        site.cluster.ask("sbatch", *urgent, "--wrap=true")
        said, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert "Stopped by SIGTERM" in site.log(dense())
    assert "is saved at 2ep" in site.log(dense())
    _same(site.directory(dense()), undisturbed)


def test_who_leaves_finds_his_jobs_again(site: Site) -> None:
    """Ctrl-C leaves the jobs with Slurm; the same command waits for them, and submits no more."""
    site.hold(dense())
    with site.command(*BRANCH) as process:
        site.wait_until_held(dense())
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 75, said
    assert "with the cluster" in said
    assert "2 jobs stay in the queue: 'scancel " in said
    assert [state for _, state, _ in site.jobs()] == ["RUNNING", "PENDING"]
    site.let_go(dense())
    code, said = site.ended(*BRANCH)
    assert code == 0, said
    assert [state for _, state, _ in site.jobs()] == ["COMPLETED", "COMPLETED"]


def test_a_cancelled_job_is_told_of_and_not_submitted_again(site: Site) -> None:
    """What waits for it does not begin; the same command then goes on with both."""
    site.hold(dense())
    with site.command(*BRANCH) as process:
        site.wait_until_held(dense())
        site.cluster.ask("scancel", site.jobs()[0][0])
        said, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1, said
    assert "was cancelled" in said
    assert [state for _, state, _ in site.jobs()] == ["CANCELLED", "CANCELLED"]
    assert site.directory(dense()).state is RunState.INTERRUPTED
    assert site.directory(dense()).latest_checkpoint(print) is not None
    code, said = site.ended(*BRANCH)
    assert code == 0, said
    assert site.directory(pruned(prune_step="12it")).state is RunState.DONE


def test_a_node_that_dies_is_noticed_and_its_run_goes_on_elsewhere(
    site: Site, undisturbed: RunDirectory
) -> None:
    """Daemon, run and all are killed at one blow."""
    site.hold(dense())
    with site.command("train", *SMALL, "--checkpoint_every=1ep") as process:
        site.wait_until_held(dense())
        [(_, _, node)] = site.jobs()
        site.cluster.kill_node(node)
        site.wait_until_held(dense())
        [(_, _, other)] = site.jobs()
        site.cluster.start_node(node)
        site.let_go(dense())
        said, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert other != node
    _same(site.directory(dense()), undisturbed)


def test_a_run_whose_time_is_over_goes_on_from_its_checkpoint(
    limited: tuple[Site, subprocess.Popen[str]], undisturbed: RunDirectory
) -> None:
    """Slurm tells it some time before; its job then queues itself again."""
    site, process = limited
    said, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert "Stopped by SIGTERM" in site.log(dense())
    _same(site.directory(dense()), undisturbed)


def _same(run: RunDirectory, other: RunDirectory) -> None:
    """The same bytes in all states, and in between."""
    for name in (DIGESTS, DONE):
        assert (run.path / name).read_bytes() == (other.path / name).read_bytes()


def _three(line: str) -> tuple[str, str, str]:
    first, second, third = line.split("|")
    return first, second, third
