"""Processes that read images: their answers come in order, and they never outlive their use."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from datasets.dataset import Framing
from datasets.pictures import decoded
from datasets.reading import Request, read
from datasets.workers import AHEAD, Workers
from foundations.errors import DamageError, RunFailedError
from tests.datasets.samples import picture

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FRAMING = Framing(resize=64, crop=64)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A few images."""
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{number}.png" for number in range(20)]
    for number, path in enumerate(paths):
        picture(number).save(path)
    return paths


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Two processes."""
    two = Workers(2)
    yield two
    two.close()


def _requests(files: list[Path]) -> list[Request]:
    """One for every image."""
    return [Request((str(path),), FRAMING) for path in files]


def _children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "resource_tracker" not in " ".join(child.cmdline())
    ]


def test_answers_come_in_the_order_of_the_requests(workers: Workers, files: list[Path]) -> None:
    """They are what the calling process reads; only a few requests are taken ahead."""
    taken = 0

    def counted() -> Iterator[Request]:
        nonlocal taken
        for request in _requests(files):
            taken += 1
            yield request

    answers = workers.map(counted())
    first = next(answers)
    assert taken == 2 * AHEAD + 1 < len(files)
    found = [first, *answers]
    expected = list(map(read, _requests(files)))
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert np.array_equal(expected[3][0], np.asarray(decoded(files[3])))


def test_several_can_be_answered_at_once_and_left_off(workers: Workers, files: list[Path]) -> None:
    """Each gets its own answers, and those that nobody takes any more are thrown away."""
    one, other = workers.map(_requests(files)), workers.map(_requests(files[::-1]))
    next(other)
    left_off = workers.map(_requests(files))
    next(left_off)
    left_off.close()  # type: ignore[attr-defined]  # it is a generator
    found = [next(one) for _ in files]
    rest = list(other)
    expected = list(map(read, _requests(files)))
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert all(np.array_equal(*pair) for pair in zip(rest, expected[-2::-1], strict=True))


def test_a_damaged_file_is_reported_and_the_rest_still_read(
    workers: Workers, files: list[Path], tmp_path: Path
) -> None:
    """The error is the one that the calling process would raise, and the processes live on."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(files[0].read_bytes()[:50])
    for count in (workers, Workers(0)):
        with pytest.raises(DamageError, match=r"broken\.png cannot be read as an image"):
            list(count.map(_requests([files[0], broken, files[1]])))
    assert len(list(workers.map(_requests(files)))) == len(files)


def test_processes_are_ended_and_may_start_again(files: list[Path]) -> None:
    """By ``close``, and where they are no longer used; there are as many as were asked for."""
    before = set(_children())
    workers = Workers(1)
    for _ in range(2):
        assert len(list(workers.map(_requests(files)))) == len(files)
        assert len(set(_children()) - before) == 1
        workers.close()
        assert set(_children()) == before
    next(workers.map(_requests(files)))
    del workers
    assert set(_children()) == before


def test_a_process_that_dies_ends_the_run_with_a_message(files: list[Path]) -> None:
    """As one does when memory runs out; the others are ended too."""
    workers, before = Workers(2), set(_children())
    answers = workers.map(_requests(files * 3))
    next(answers)
    victim = (set(_children()) - before).pop()
    victim.kill()
    with pytest.raises(RunFailedError, match=r"has died \(exit code -9\).*--num_workers"):
        list(answers)
    assert set(_children()) == before


def test_signals_that_ask_a_run_to_stop_do_not_reach_them(
    workers: Workers, files: list[Path]
) -> None:
    """A terminal and a scheduler send them to every process."""
    assert next(workers.map(_requests(files))) is not None
    for child in _children():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            child.send_signal(number)
    assert len(list(workers.map(_requests(files)))) == len(files)


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "pass", "1 / 0"])
def test_they_end_with_the_process_that_started_them(end: str, files: list[Path]) -> None:
    """Killed, at its end with batches left, or by an error: none is left, nothing is waited for."""
    code = (
        "import os, signal, psutil\n"
        "from datasets.dataset import Framing\n"
        "from datasets.reading import Request\n"
        "from datasets.workers import Workers\n"
        f"requests = [Request(({str(files[0])!r},), Framing(resize=64, crop=64))] * 50\n"
        "answers = Workers(2).map(requests)\n"
        "next(answers)\n"
        "print(*(child.pid for child in psutil.Process().children()), flush=True)\n" + end
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 3, done.stderr  # two, and Python's own resource tracker
    assert done.returncode == {"pass": 0, "1 / 0": 1}.get(end, -signal.SIGKILL)
    assert ("Traceback" in done.stderr) == (end == "1 / 0")
    assert "leaked" not in done.stderr
    deadline = time.monotonic() + 30
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, pids))
