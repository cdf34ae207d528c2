"""What a run was computed on."""

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from platforms.fingerprint import PROJECT, _cpu_name, commit, fingerprint, provenance


def git(folder: Path, *arguments: str) -> str:
    """What git says, with an identity of its own."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "One")
    return tmp_path


def test_it_says_what_bytes_depend_on() -> None:
    """The version of torch, the device, its model, the threads and the numerics."""
    shown = fingerprint(torch.device("cpu"), 2, {"precision": "float32"})
    capability = torch.backends.cpu.get_cpu_capability()
    assert shown["torch"] == torch.__version__
    assert shown["device"] == "cpu"
    assert capability in shown["device_model"]
    assert shown["threads"] == 2
    assert shown["numerics"] == {"precision": "float32"}


def test_it_is_the_same_each_time_and_after_json() -> None:
    """Otherwise every resume would seem to be on another machine."""
    shown = fingerprint(torch.device("cpu"), 2, "float32")
    assert json.loads(json.dumps(shown)) == shown == fingerprint(torch.device("cpu"), 2, "float32")


def test_it_depends_on_threads_and_numerics() -> None:
    """Both change the order in which sums are made."""
    cpu = torch.device("cpu")
    shown = fingerprint(cpu, 2, "float32")
    assert shown != fingerprint(cpu, 1, "float32")
    assert shown != fingerprint(cpu, 2, "bfloat16")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_is_known_by_its_name() -> None:
    """Not by its index: the next one is the same."""
    shown = fingerprint(torch.device("cuda", 0), 2, "float32")
    assert torch.cuda.get_device_name(0) in shown["device_model"]


def test_a_cpu_is_known_by_its_family_and_model_too(tmp_path: Path) -> None:
    """Virtual machines give many CPUs one name; only the first CPU is described."""
    info = tmp_path / "cpuinfo"
    first = "vendor_id\t: X\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: A B\nstepping\t: 1\n"
    info.write_text(f"{first}flags\t\t: a b\n\n{first.replace('17', '18')}")
    assert _cpu_name(info) == "A B (cpu family 25, model 17, stepping 1)"


def test_a_cpu_is_known_without_cpuinfo(tmp_path: Path) -> None:
    """Systems other than Linux have another way."""
    assert _cpu_name(tmp_path / "none") == (platform.processor() or platform.machine())


def test_provenance_says_where_a_run_comes_from() -> None:
    """The command, the time in UTC, the host, Python and what is installed; it is JSON."""
    shown = provenance(["open_prune.py", "train"])
    assert json.loads(json.dumps(shown)) == shown
    assert shown["command"] == ["open_prune.py", "train"]
    assert shown["python"] == platform.python_version()
    assert shown["packages"]["safetensors"] == version("safetensors")
    age = datetime.now(UTC) - datetime.fromisoformat(shown["started"])
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_the_command_is_that_of_the_process() -> None:
    """Unless another is given."""
    code = (
        "import json; from platforms.fingerprint import provenance;"
        "print(json.dumps(provenance()['command']))"
    )
    command = [sys.executable, "-c", code, "--lr=1"]
    shown = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    assert json.loads(shown.stdout) == ["-c", "--lr=1"]


def test_the_commit_is_that_of_the_repository(repository: Path) -> None:
    """A changed file shows, an untracked one does not."""
    head = git(repository, "rev-parse", "HEAD")
    (repository / "new").touch()
    assert commit(repository) == head
    (repository / "file").write_text("two")
    assert commit(repository) == f"{head}+changes"


def test_the_commit_of_a_repository_around_it_is_not_its_own(repository: Path) -> None:
    """An installed copy inside somebody's project has no commit."""
    (repository / "copy").mkdir()
    assert commit(repository / "copy") is None


def test_there_is_no_commit_without_repository_or_git(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither is an error."""
    assert commit(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert commit(PROJECT) is None
