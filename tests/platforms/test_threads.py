"""How the cores are shared: real processes that work, end and are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from platforms import threads
from platforms.cores import _quota, usable

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys
from pathlib import Path
from platforms.threads import announce
with announce(Path(sys.argv[1])):
    print("announced", flush=True)
    sys.stdin.read()
"""


@contextmanager
def worker(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has announced itself and works until its input is closed."""
    command = [sys.executable, "-c", WORKER, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "announced\n"
            yield process
        finally:
            process.kill()


def write(folder: Path, pid: int, started: float) -> Path:
    """What a process of this pid and start time would have left there."""
    file = folder / f"{pid}_{started:.2f}_0123456789abcdef"
    file.touch()
    return file


def test_each_working_process_is_counted_once(tmp_path: Path) -> None:
    """Two other processes and this one, twice within itself, are three."""
    with worker(tmp_path), worker(tmp_path), threads.announce(tmp_path):
        with threads.announce(tmp_path):
            assert threads.workers(tmp_path) == 3
        assert threads.workers(tmp_path) == 3


def test_a_process_that_ends_is_not_counted(tmp_path: Path) -> None:
    """It takes its announcement back itself."""
    with worker(tmp_path) as process:
        process.communicate()
        assert process.returncode == 0
        assert list(tmp_path.iterdir()) == []


def test_an_announcement_is_taken_back_after_an_error(tmp_path: Path) -> None:
    """An exception leaves no trace."""
    with suppress(ZeroDivisionError), threads.announce(tmp_path):
        assert threads.workers(tmp_path) == 1
        raise ZeroDivisionError
    assert threads.workers(tmp_path) == 0


def test_a_killed_process_is_not_counted(tmp_path: Path) -> None:
    """Neither as a zombie nor when it is gone, though it could not take its announcement back."""
    with worker(tmp_path) as process:
        assert threads.workers(tmp_path) == 1
        process.send_signal(signal.SIGKILL)
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert threads.workers(tmp_path) == 0
        process.wait()
        write(tmp_path, process.pid, 1e9)
        assert threads.workers(tmp_path) == 0
        assert list(tmp_path.iterdir()) == []


def test_a_pid_that_another_process_has_by_now_is_not_counted(tmp_path: Path) -> None:
    """The start time tells the two apart; an announcement that holds is left alone."""
    parent = psutil.Process(os.getppid())
    stale = write(tmp_path, parent.pid, parent.create_time() - 3600)
    assert threads.workers(tmp_path) == 0
    assert not stale.exists()
    write(tmp_path, parent.pid, parent.create_time())
    assert threads.workers(tmp_path) == 1
    assert threads.workers(tmp_path, with_self=True) == 2


def test_what_a_waiting_process_left_is_cleared_away(tmp_path: Path) -> None:
    """It is not counted while it waits; of one that was killed then, nothing stays."""
    mine = write(tmp_path, os.getpid(), psutil.Process().create_time())
    gone = write(tmp_path, os.getpid(), 1.0)
    hidden = [file.rename(file.with_name(f".{file.name}")) for file in (mine, gone)]
    assert threads.workers(tmp_path) == 0
    assert [file.exists() for file in hidden] == [True, False]


def test_foreign_files_are_ignored_and_kept(tmp_path: Path) -> None:
    """What is not an announcement is neither counted nor removed."""
    (tmp_path / "notes.txt").touch()
    (tmp_path / f"{os.getpid()}").touch()
    assert threads.workers(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_a_process_works_where_nothing_can_be_written(tmp_path: Path) -> None:
    """The count is advice: without a folder for it, a process counts itself alone."""
    (tmp_path / "file").touch()
    blocked = tmp_path / "file" / "folder"
    with threads.announce(blocked):
        assert threads.workers(blocked) == 0
        assert threads.workers(blocked, with_self=True) == 1


def test_the_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is made for this user alone, in the temporary directory."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with threads.announce():
        (folder,) = tmp_path.iterdir()
        assert folder == threads.presence()
        assert folder.stat().st_mode & 0o077 == 0
        assert threads.workers() == 1


@pytest.mark.parametrize(
    ("cores", "workers", "expected"),
    [(2, 1, 2), (2, 2, 1), (2, 3, 1), (16, 3, 5), (1, 1, 1), (8, 0, 8)],
)
def test_shares_are_whole_and_at_least_one(cores: int, workers: int, expected: int) -> None:
    """Together they never exceed the cores, unless there are more processes than cores."""
    assert threads.share(cores, workers) == expected


def test_the_cores_are_those_the_process_may_be_scheduled_on() -> None:
    """A process bound to one CPU has one core."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not bind processes to CPUs")
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from platforms.cores import usable; print(usable())"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "1\n"
    assert 1 <= usable() <= len(os.sched_getaffinity(0))


def test_the_tightest_limit_of_the_control_groups_holds(tmp_path: Path) -> None:
    """A group's own limit and those of all groups above it count, "max" is none."""
    job = tmp_path / "slurm" / "job"
    job.mkdir(parents=True)
    (job / "cpu.max").write_text("max 100000\n")
    assert _quota(tmp_path, "0::/slurm/job\n") is None
    (tmp_path / "slurm" / "cpu.max").write_text("350000 100000\n")
    assert _quota(tmp_path, "0::/slurm/job\n") == 3.5
    (job / "cpu.max").write_text("150000 100000\n")
    assert _quota(tmp_path, "0::/slurm/job\n") == 1.5
    assert _quota(tmp_path, "0::/elsewhere\n") is None


def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    """There a limit is two files, and -1 is none."""
    group = tmp_path / "cpu,cpuacct" / "docker"
    group.mkdir(parents=True)
    membership = "5:memory:/docker\n4:cpu,cpuacct:/docker\n"
    (group / "cpu.cfs_period_us").write_text("100000\n")
    (group / "cpu.cfs_quota_us").write_text("-1\n")
    assert _quota(tmp_path, membership) is None
    (group / "cpu.cfs_quota_us").write_text("200000\n")
    assert _quota(tmp_path, membership) == 2.0


def test_a_crowded_process_spins_shorter_than_a_lone_one() -> None:
    """Both shorter than by default, and the rest of the environment is untouched."""
    alone, crowded = {"PATH": "/bin"}, {"PATH": "/bin"}
    threads.configure_threads(alone)
    threads.configure_threads(crowded, workers=2)
    assert alone == {"PATH": "/bin", "GOMP_SPINCOUNT": "10000"}
    assert crowded == {"PATH": "/bin", "GOMP_SPINCOUNT": "1000"}


@pytest.mark.parametrize("kept", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}])
def test_a_users_choice_of_waiting_stands(kept: dict[str, str]) -> None:
    """Either variable is a choice."""
    environ = dict(kept)
    threads.configure_threads(environ, workers=2)
    assert environ == kept


def test_the_choice_reaches_openmp() -> None:
    """GNU OpenMP, which torch brings along on Linux, says that it has read it."""
    if not sys.platform.startswith("linux"):
        pytest.skip("torch uses GNU OpenMP on Linux only")
    code = (
        "import os; from platforms.threads import configure_threads;"
        "configure_threads(os.environ); import torch"
    )
    unset = {n: v for n, v in os.environ.items() if not n.startswith(("OMP_", "GOMP_"))}
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=unset | {"OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "GOMP_SPINCOUNT = '10000'" in shown.stderr
