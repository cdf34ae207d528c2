"""Where runs and data sets are kept, on which device, and how jobs are done here."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest
import torch

from foundations.description import Description, RunRef
from foundations.errors import USER_ERROR, UserError
from platforms import PLATFORMS, threads
from platforms.cores import usable
from platforms.local import Local
from platforms.roots import DATA_VARIABLE, RESULTS_VARIABLE


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable is set, and the processes of others do not count."""
    monkeypatch.delenv(RESULTS_VARIABLE, raising=False)
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@dataclass(frozen=True, kw_only=True)
class Nothing(Description):
    """A run of which there is nothing to say."""

    @property
    def kind(self) -> str:
        """Its only word."""
        return "nothing"

    def runs(self) -> tuple[RunRef, ...]:
        """It needs none."""
        return ()


@dataclass(frozen=True)
class Numbered:
    """A job that is told by its replicate."""

    replicate: int
    description: Description = Nothing()


def test_the_registry_has_it() -> None:
    """``--platform=local`` is found by name, a mistyped one is suggested."""
    assert PLATFORMS["local"] is Local
    with pytest.raises(UserError, match="Did you mean 'local'"):
        PLATFORMS["locale"]


def test_the_users_data_directory_is_the_last_resort() -> None:
    """With no flag and no variable, runs and data are where the system keeps a user's data."""
    data = Path(platformdirs.user_data_dir("open_prune"))
    assert Local().results_root() == data / "runs"
    assert Local().datasets_root() == data / "data"


def test_a_variable_precedes_the_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each root has its own; an empty one counts as none."""
    monkeypatch.setenv(RESULTS_VARIABLE, "/results")
    monkeypatch.setenv(DATA_VARIABLE, "")
    assert Local().results_root() == Path("/results")
    assert Local().datasets_root() == Path(platformdirs.user_data_dir("open_prune")) / "data"
    monkeypatch.setenv(DATA_VARIABLE, "/images")
    assert Local().datasets_root() == Path("/images")
    assert Local().results_root() == Path("/results")


def test_a_flag_precedes_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said last and nearest holds."""
    monkeypatch.setenv(RESULTS_VARIABLE, "/results")
    monkeypatch.setenv(DATA_VARIABLE, "/images")
    here = Local(root="/mine", data_root="/pictures")
    assert here.results_root() == Path("/mine")
    assert here.datasets_root() == Path("/pictures")


def test_roots_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative root is under the working directory, ``~`` is the home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert Local(root="runs").results_root() == tmp_path / "runs"
    assert Local(root="~/runs").results_root() == Path("/home/someone/runs")


def test_the_root_is_made_when_it_is_written_to(tmp_path: Path) -> None:
    """Asking where it is makes nothing; asking for a writable one leaves it empty."""
    here = Local(root=str(tmp_path / "a" / "b"))
    assert not here.results_root().exists()
    assert list(here.writable_root().iterdir()) == []


def test_an_unwritable_root_says_what_to_set(tmp_path: Path) -> None:
    """The message has the path, the flag and the variable, and it is a user's mistake."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"{tmp_path}/file/runs.*--root.*{RESULTS_VARIABLE}") as e:
        Local(root=str(tmp_path / "file" / "runs")).writable_root()
    assert e.value.exit_code == USER_ERROR


def test_a_root_in_which_no_file_can_be_made_is_refused() -> None:
    """A directory may exist and still take nothing, whoever asks: /proc is one."""
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc on this system")
    with pytest.raises(UserError, match="cannot be written to /proc"):
        Local(root="/proc").writable_root()


@pytest.mark.parametrize("name", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:11"])
def test_names_of_devices_are_taken_without_looking(name: str) -> None:
    """A platform may be described on a machine that lacks its device."""
    assert Local(device=name).device == name


@pytest.mark.parametrize(
    ("name", "near"), [("cudda", "cuda"), ("cpuu", "cpu"), ("cuda1", "cuda:1"), ("atuo", "auto")]
)
def test_a_mistyped_device_is_refused_with_the_nearest(name: str, near: str) -> None:
    """At once, before torch is asked."""
    with pytest.raises(UserError, match=f"no device {name!r}. Did you mean {near!r}"):
        Local(device=name)


def test_the_cpu_is_the_cpu() -> None:
    """It is always there."""
    assert Local(device="cpu").torch_device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [
        (True, True, torch.device("cuda", 0)),
        (False, True, torch.device("mps")),
        (False, False, torch.device("cpu")),
    ],
)
def test_auto_prefers_cuda_then_mps(
    monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool, expected: torch.device
) -> None:
    """The first that is there is taken."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert Local(device="auto").torch_device() == expected


def test_an_absent_gpu_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU, no such GPU and no Apple GPU: each says what to use instead."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(UserError, match=f"--device={name}: .*Use --device=cpu"):
            Local(device=name).torch_device()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Local(device="cuda:1").torch_device() == torch.device("cuda", 1)
    with pytest.raises(UserError, match="no such GPU here, only cuda:0 to cuda:1"):
        Local(device="cuda:2").torch_device()


def test_counts_that_make_no_sense_are_refused() -> None:
    """The message names the field and the value."""
    with pytest.raises(UserError, match="threads=0 is not allowed: at least 1"):
        Local(threads=0)
    with pytest.raises(UserError, match="num_workers=-1 is not allowed: 0 or more"):
        Local(num_workers=-1)


def test_threads_are_a_fair_share_unless_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone a process has all cores, beside another half of them, and what is stated holds."""
    monkeypatch.setattr("platforms.cores.usable", lambda: 6)
    assert Local().thread_count() == 6
    monkeypatch.setattr(threads, "workers", lambda *, with_self: 2 if with_self else 0)
    assert Local().thread_count() == 3
    assert Local(threads=5).thread_count() == 5


def test_a_lone_process_has_all_its_cores() -> None:
    """Nothing is announced in an empty folder."""
    assert Local().thread_count() == usable()


def test_jobs_are_done_here_in_turn_and_announced() -> None:
    """Each is given to ``work`` in order, while this process counts as working."""
    done: list[tuple[int, int]] = []
    jobs = [Numbered(3), Numbered(1), Numbered(2)]
    Local().launch(jobs, lambda job: done.append((job.replicate, threads.workers())))
    assert done == [(3, 1), (1, 1), (2, 1)]
    assert threads.workers() == 0


def test_what_work_raises_ends_the_launch() -> None:
    """A failure is not swallowed, and what comes after is not begun."""
    begun: list[int] = []

    def work(job: Numbered) -> None:
        begun.append(job.replicate)
        if job.replicate == 2:
            raise UserError("no")

    with pytest.raises(UserError, match="no"):
        Local().launch([Numbered(1), Numbered(2), Numbered(3)], work)
    assert begun == [1, 2]
