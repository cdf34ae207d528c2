"""Workers of this machine: one run at a time each, replaced when they die, gone at the end."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from foundations.steps import Step
from platforms.crew import Ended, Outcome, Task
from platforms.local import Local, gpus, worker
from platforms.local.crew import LocalCrew

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAYED = """
import json, os, sys, time

answers = next(int(flag.split("=")[1]) for flag in sys.argv if flag.startswith("--answers="))
print("something is printed")
for line in sys.stdin:
    task = json.loads(line)
    what, _, more = task["run"].partition(" ")
    if what == "die":
        os.kill(os.getpid(), 9)
    if what == "leave":
        sys.exit(3)
    if what == "wait":
        time.sleep(600)
    tells = {"pid": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
             "flags": sys.argv[1:], "spins": os.environ.get("GOMP_SPINCOUNT"), **task}
    outcome = "failed" if what == "fail" else "done"
    answer = {"run": task["run"], "outcome": outcome, "reason": json.dumps(tells)}
    os.write(answers, (json.dumps(answer) + chr(10)).encode())
"""
"""A program that plays a worker: what it does is the first word of the run's name."""


@pytest.fixture(autouse=True)
def _played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Workers are played, and there are no GPUs."""
    program = tmp_path / "played.py"
    program.write_text(PLAYED)
    monkeypatch.setattr(worker, "PROGRAM", str(program))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)


@pytest.fixture
def crew() -> Iterator[LocalCrew]:
    """Two workers."""
    made = LocalCrew(Local(workers=2, root="/somewhere"), ["--plugin=mine.py"])
    yield made
    made.close()


def all_ended(crew: LocalCrew, count: int) -> list[Ended]:
    """So many ends."""
    found: list[Ended] = []
    until = time.monotonic() + 60
    while len(found) < count and time.monotonic() < until:
        found += crew.ended(1.0)
    return found


def told(ended: Ended) -> dict[str, object]:
    """What the worker was told, and what it is."""
    found: dict[str, object] = json.loads(ended.reason)
    return found


def test_a_worker_is_told_a_task_and_answers(crew: LocalCrew) -> None:
    """Steps and all; what it prints disturbs nothing."""
    task = Task("say/replicate_1", (Step(0, 3), Step(2, 0)), whole=False)
    crew.submit([task])
    (ended,) = all_ended(crew, 1)
    assert (ended.task, ended.outcome) == (task, Outcome.DONE)
    assert told(ended)["steps"] == ["3it", "2ep"]
    assert told(ended)["whole"] is False
    flags = told(ended)["flags"]
    assert isinstance(flags, list)
    assert {"run", "--root=/somewhere", "--workers=2", "--plugin=mine.py"} <= set(flags)
    assert not any(flag.startswith("--threads") for flag in flags)


def test_workers_stay_and_each_has_one_run(crew: LocalCrew) -> None:
    """Six runs are done by two processes, side by side."""
    assert crew.free() == 2
    crew.submit([Task(f"say {n}") for n in range(6)])
    assert crew.free() == 0
    ended = all_ended(crew, 6)
    assert len({told(one)["pid"] for one in ended}) == 2
    assert {one.task.run for one in ended} == {f"say {n}" for n in range(6)}
    assert crew.free() == 2


def test_a_task_that_is_under_way_is_not_begun_again(crew: LocalCrew) -> None:
    """Nothing happens."""
    crew.submit([Task("wait")])
    crew.submit([Task("wait")])
    assert crew.free() == 1


@pytest.mark.parametrize(
    ("run", "reason"), [("die", "it was killed by SIGKILL"), ("leave", "it left with exit code 3")]
)
def test_a_worker_that_dies_is_replaced(crew: LocalCrew, run: str, reason: str) -> None:
    """Its task is lost; the next one finds another worker in its place."""
    crew.submit([Task(run)])
    assert all_ended(crew, 1) == [Ended(Task(run), Outcome.LOST, reason)]
    assert crew.free() == 2
    crew.submit([Task("say 1"), Task("say 2")])
    assert [one.outcome for one in all_ended(crew, 2)] == [Outcome.DONE] * 2


def test_an_idle_worker_that_is_killed_loses_only_the_next_task(crew: LocalCrew) -> None:
    """Whoever is given it next finds out, and the one after has a new worker."""
    crew.submit([Task("say")])
    pid = told(all_ended(crew, 1)[0])["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    outcomes = []
    for n in range(3):
        crew.submit([Task(f"say {n}")])
        outcomes += [one.outcome for one in all_ended(crew, 1)]
    assert outcomes.count(Outcome.LOST) <= 1
    assert outcomes[-1] is Outcome.DONE


def test_a_failure_is_passed_on(crew: LocalCrew) -> None:
    """With its reason; the worker stays."""
    crew.submit([Task("fail")])
    (ended,) = all_ended(crew, 1)
    assert ended.outcome is Outcome.FAILED


def test_who_is_asked_to_stop_is_stopped_not_lost(crew: LocalCrew) -> None:
    """What has not begun is told of too."""
    crew.submit([Task("wait 1"), Task("wait 2"), Task("wait 3")])
    time.sleep(0.5)
    crew.stop()
    ended = all_ended(crew, 3)
    assert {one.task.run for one in ended} == {"wait 1", "wait 2", "wait 3"}
    assert {one.outcome for one in ended} == {Outcome.STOPPED}


def test_each_worker_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many on each as is asked for; by default that decides how many workers there are."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    platform = Local(runs_per_gpu=2).for_many()
    assert platform.workers == 4
    crew = LocalCrew(platform, [])
    crew.submit([Task(f"say {n}") for n in range(4)])
    found = {told(one)["pid"]: told(one)["gpu"] for one in all_ended(crew, 4)}
    crew.close()
    assert set(found.values()) <= {"4", "7"}


def test_a_run_of_several_processes_takes_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits until they are free, nobody is let past it, and it sees the GPUs of all of them."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    crew = LocalCrew(Local(workers=2), [])
    crew.submit([Task("say"), Task("say together", processes=2), Task("say 2")])
    assert crew.free() == 0
    ended = all_ended(crew, 3)
    crew.close()
    assert [one.task.run for one in ended] == ["say", "say together", "say 2"]
    assert sorted(str(told(ended[1])["gpu"]).split(",")) == ["4", "7"]
    assert len({told(one)["pid"] for one in ended[:2]}) == 2


def test_workers_leave_with_the_one_who_tells_them(crew: LocalCrew) -> None:
    """Their standard input ends; one that is at work is killed."""
    crew.submit([Task("say"), Task("wait")])
    (ended,) = all_ended(crew, 1)
    pid = told(ended)["pid"]
    crew.close()
    assert isinstance(pid, int)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("device", "found"),
    [("auto", ("0", "1")), ("cuda", ("0", "1")), ("cuda:1", ("1",)), ("cuda:5", ()), ("cpu", ())],
)
def test_gpus_are_found_without_torch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, found: tuple[str, ...]
) -> None:
    """By the driver's program, where no variable says which."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: One (UUID: a)'\necho 'GPU 1: Two (UUID: b)'\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus.visible(device) == found


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its part, however many are at work now; what is asked for stands."""
    monkeypatch.setattr("platforms.cores.usable", lambda: 8)
    assert Local(workers=3).thread_count() == 2
    assert Local(workers=16).thread_count() == 1
    assert Local(workers=3, threads=5).thread_count() == 5
    assert Local(device="cpu").for_many().workers == 8
    assert Local(workers=3).for_many().workers == 3
    assert Local().crew([]) is None
