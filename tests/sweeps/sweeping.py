"""Sweeps by real workers, and what they are compared with."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import psutil

from branches.lottery_rewind import LotteryRewind
from branches.run import Job, complete
from foundations.run_directory import LOG
from foundations.steps import Step
from foundations.store import Store
from platforms.fingerprint import PROJECT
from sweeps.goals import goals
from tests.branches.runs import contents, context, dense, options, pruned
from tests.sweeps.crews import on
from training.provenance import sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from foundations.description import Description
    from foundations.run_directory import RunDirectory

EVERY = 3
RECORDED = options(checkpoint_every=f"{EVERY}it")
FLAGS = (f"--checkpoint_every={EVERY}it", "--threads=1", "--device=cpu")

GRID = """
import open_prune
from open_prune import Step

replicates = 1, 2

def runs():
    small = {"model_name": "digits_lenet_8", "batch_size": 512, "training_steps": "36it"}
    dense = open_prune.describe("digits_lenet", **small)
    yield from open_prune.lottery(dense, 2, rewinding_steps="5it")
    yield open_prune.branch(dense, "oneshot", prune_fraction=0.5)
    yield open_prune.branch(dense, "oneshot", prune_step="9it", state_step="9it")
"""
"""A lottery and two branches of its dense run, for a file."""


def grid() -> list[Description]:
    """The runs of ``GRID``."""
    levels: list[Description] = [dense(training_steps="36it")]
    for _ in range(2):
        levels.append(on(levels[-1], LotteryRewind(rewinding_steps=Step(0, 5))))
    early = pruned(levels[0], prune_fraction=0.5)
    return [*levels, early, pruned(levels[0], prune_step="9it", state_step="9it")]


def quiet(root: Path, replicates: Iterable[int] = (1, 2)) -> None:
    """Carry out the same in this process, one run after another, with the states that it needs."""
    jobs = [Job(made, replicate) for replicate in replicates for made in grid()]
    for goal in goals(jobs, (), Store(root)):
        recorded = replace(RECORDED, weight_save_steps=goal.steps)
        complete(Job(goal.description, goal.replicate), context(root, None, recorded))


def kept(root: Path) -> dict[str, bytes]:
    """What two sweeps of the same grid have in common: all but logs, records and claims."""
    return {name: data for name, data in contents(root).items() if not name.endswith(LOG)}


def command(file: Path, root: Path, *flags: str) -> list[str]:
    """The command line of a sweep with two workers."""
    roots = (f"--root={root}", f"--data_root={root.parent / 'data'}")
    return [
        *(sys.executable, str(PROJECT / "open_prune.py"), "sweep", str(file)),
        *(*roots, "--workers=2", *FLAGS, *flags),
    ]


def begin(file: Path, root: Path, *flags: str) -> subprocess.Popen[str]:
    """A sweep in a process of its own; its output is in pipes."""
    return subprocess.Popen(
        command(file, root, *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def workers(pid: int) -> list[psutil.Process]:
    """The workers of a sweep that live."""
    try:
        found = psutil.Process(pid).children()
        return [one for one in found if "run" in one.cmdline()]
    except psutil.NoSuchProcess:
        return []


def wait_for(happened: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until a function says so."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "this takes too long"
        time.sleep(0.02)


def begun(root: Path) -> list[RunDirectory]:
    """The runs that have trained for a few updates."""
    return [run for run in Store(root).runs() if (run.path / "checkpoint").is_dir()]


def trained_more_than_once(root: Path) -> list[str]:
    """The runs of which more updates are on record than they have, in all sessions together.

    What a session did after its last checkpoint is done again by the next one.
    """
    found = []
    for run in Store(root).runs():
        start = run.start()
        assert start is not None
        updates = [session["iterations"] for session in sessions(run)]
        again = EVERY * (len(updates) - 1)
        if sum(updates) > start["end"] - start["iteration"] + again:
            found.append(f"{run.name}/{run.path.name}")
    return found


def overlapping(root: Path) -> list[str]:
    """The runs of which one session began before another had been seen for the last time."""
    return [
        run.name
        for run in Store(root).runs()
        if any(one["seen"] > other["started"] for one, other in pairwise(sessions(run)))
    ]
