"""Whole runs on a data set that stays in its files, on the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

import open_prune
from foundations.errors import INTERRUPTED
from foundations.run_directory import RunState
from foundations.store import Store
from tests.branches.runs import contents
from tests.datasets.samples import picture_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 12 and 5 images in TinyImageNet's layout."""
    return picture_folder(tmp_path_factory.mktemp("tiny"), inner="images")


@pytest.fixture(scope="module")
def undisturbed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a run that was read by the run itself, and never stopped."""
    root = tmp_path_factory.mktemp("undisturbed")
    assert open_prune.main(_command(folder, root, 0)) == 0
    return root


def _command(folder: Path, root: Path, workers: int) -> list[str]:
    return [
        "train",
        "--default_hparams=cifar_resnet_8",
        "--dataset_name=tinyimagenet",
        f"--folder={folder}",
        "--batch_size=5",
        "--training_steps=100it",
        "--milestone_steps=",
        "--gamma=None",
        "--evaluate_only_at_end",
        "--quiet",
        f"--num_workers={workers}",
        "--threads=1",
        "--device=cpu",
        f"--root={root}",
    ]


@pytest.fixture
def trained(folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A command line of its own that trains, with two processes that read for it."""
    command = [sys.executable, open_prune.__file__, *_command(folder, tmp_path, 2)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        yield process
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_continues_to_the_same_bytes_with_any_number_of_processes(
    trained: subprocess.Popen[str],
    number: signal.Signals,
    folder: Path,
    undisturbed: Path,
    tmp_path: Path,
) -> None:
    """The signal reaches all processes, as from a terminal; none is left, none complains."""
    while not list(tmp_path.glob("*/*/metrics.csv")):  # which is written as it trains
        assert trained.poll() is None
        time.sleep(0.01)
    while len(readers := psutil.Process(trained.pid).children()) < 3:  # and a resource tracker
        assert trained.poll() is None
        time.sleep(0.01)
    os.killpg(trained.pid, number)
    said, _ = trained.communicate(timeout=120)
    assert trained.returncode == INTERRUPTED, said
    assert f"Stopped by {number.name}" in said
    assert "Traceback" not in said
    assert "Warning" not in said
    assert psutil.wait_procs(readers, timeout=10)[1] == []
    (found,) = Store(tmp_path).runs()
    assert found.state is RunState.INTERRUPTED
    assert open_prune.main(_command(folder, tmp_path, 0)) == 0
    assert contents(tmp_path) == contents(undisturbed)


@pytest.mark.slow
def test_processes_that_read_change_no_byte(
    folder: Path, undisturbed: Path, trained: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Two or none: the same run, and nothing on the terminal but the results."""
    said, _ = trained.communicate(timeout=120)
    assert trained.returncode == 0, said
    assert "Warning" not in said
    assert contents(tmp_path) == contents(undisturbed)


def test_a_broken_image_ends_a_run_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback: the file is named, whichever process read it."""
    folder = picture_folder(tmp_path / "images", train=4, val=2)
    broken = folder / "train" / "n02" / "n02_01.JPEG"
    broken.write_bytes(broken.read_bytes()[:300])
    for workers in (0, 1):
        assert open_prune.main(_command(folder, tmp_path / "runs", workers)) == 1
        said = capsys.readouterr().err
        assert f"{broken} cannot be read as an image" in said
        assert "Traceback" not in said
