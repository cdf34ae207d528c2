"""``status``: what it says of runs, as text and on a terminal, and how it is left."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from commands.screen import as_text, screen, shares
from foundations.owners import Owner
from foundations.run_directory import RunDirectory
from foundations.store import Store
from platforms.slurm import Slurm
from sweeps.survey import Row, Status
from tests.commands.terminal import on_a_terminal, read
from tests.sweeps.stages import begun, dense, failed, finished, prepared, pruned, timed

if TYPE_CHECKING:
    from tests.commands.conftest import Cli

FILE = """
from open_prune import branch, describe

replicates = 1, 2

def runs():
    yield branch(describe("digits_lenet_8", training_steps="2ep"), "oneshot", prune_fraction=.5)
"""


def test_what_is_queued_is_told_of_each_that_is_not_done(
    cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where the platform is named; where its queue does not answer, that is said."""
    store = Store(root)
    new, done = prepared(store, dense()), finished(begun(store, dense(0.2), reached=46))
    told = {f"{run.name}/replicate_1": "job 12_3 is pending (Resources)" for run in (new, done)}
    monkeypatch.setattr(Slurm, "queued", lambda _: told)
    said = cli("status", "--platform=slurm").out
    assert said.splitlines()[-1] == f"  {new.name}/1  job 12_3 is pending (Resources)"
    assert said.count("job") == 1
    assert "job" not in cli("status").out
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "")
    assert "Slurm does not answer" in cli("status", "--platform=slurm").err


def test_nothing_is_there(cli: Cli, root: Path) -> None:
    """Then none are counted, and nothing is made."""
    assert cli("status").out == "0 runs\n"
    assert not root.exists()


def test_all_runs(cli: Cli, root: Path) -> None:
    """Counts first, then what matters most: running, failed, waiting, interrupted, missing."""
    store = Store(root)
    finished(begun(store, dense(0.2), reached=46))
    running = timed(begun(store, dense(), reached=23), (11.5, 23))
    failed(begun(store, dense(0.3), reached=10), "The loss\n  is nan.")
    other = dense(0.4)
    waiting = [prepared(store, pruned(other, fraction)) for fraction in (0.1, 0.2)]
    prepared(store, dense(0.5))
    begun(store, dense(0.6), reached=23)
    claim = running.claim()
    assert claim is not None
    with claim:
        told = cli("status").out
    assert len(waiting) == 2
    assert told.splitlines() == [
        "7 runs: 1 done, 1 running, 1 failed, 2 waiting, 1 interrupted, 1 missing",
        "",
        "running:",
        f"  {dense().name}/1  50 %  11.5 s left  process {os.getpid()} on {claim.owner.host}",
        "",
        "failed:",
        f"  {dense(0.3).name}/1  22 %  The loss is nan.",
        "",
        "waiting:",
        f"  2 runs  wait for {other.name}/1",
        "",
        "interrupted:",
        f"  {dense(0.6).name}/1  50 %",
        "",
        "missing:",
        f"  {dense(0.5).name}/1",
    ]


def test_runs_of_a_name(cli: Cli, root: Path) -> None:
    """Only those that begin so."""
    prepared(Store(root), dense())
    begun(Store(root), pruned(dense()))
    assert cli("status", "oneshot").out.startswith("1 run: 1 interrupted\n")
    told = cli("status", "nothing")
    assert told.code == 2
    assert "There is no run 'nothing'" in told.err


def test_runs_of_a_file(cli: Cli, root: Path, tmp_path: Path) -> None:
    """Those that are not there yet too, and the parents they need; other runs are left out."""
    file = tmp_path / "grid.py"
    file.write_text(FILE)
    finished(begun(Store(root), dense(0.3), reached=46))
    begun(Store(root), dense())
    name = pruned(dense()).name
    assert cli("status", str(file)).out.splitlines() == [
        "4 runs: 1 done, 1 waiting, 2 missing",
        "",
        "waiting:",
        f"  {name}/2  waits for {dense().name}/2",
        "",
        "missing:",
        f"  {name}/1",
        f"  {dense().name}/2",
    ]
    assert cli("status", str(file), "--replicates=2").out.startswith("2 runs: 1 waiting, 1 missing")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("grid.py", "train"), "Name files, or runs: not both at once."),
        (("train", "--replicates=1"), "--replicates is for a file"),
        (("grid.py",), "grid.py cannot be read"),
        (("--every=0",), "every=0.0 is not allowed: more than 0 seconds."),
    ],
)
def test_mistakes(cli: Cli, words: tuple[str, ...], said: str) -> None:
    """It is said what is wrong."""
    told = cli("status", *words)
    assert told.code == 2
    assert said in told.err


def _row(number: int, status: Status, *others: str) -> Row:
    """A run with a long name, and much to say."""
    path = Path("/runs") / f"lottery_rewind_{number:016x}" / "replicate_1"
    row = Row(RunDirectory(path, 1), status, others=others)
    if status is Status.RUNNING:
        return replace(row, fraction=0.5, seconds_left=4000.0, owner=Owner.me())
    return replace(row, reason="no reason " * 30) if status is Status.FAILED else row


def _drawn(rows: list[Row], height: int) -> list[str]:
    """The lines of a screen of 80 columns."""
    console = Console(file=io.StringIO(), width=80, height=height, force_terminal=False)
    console.print(screen(rows, height))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


ROWS = [
    *(_row(number, Status.RUNNING) for number in range(3)),
    *(_row(number, Status.FAILED) for number in range(3, 5)),
    *(_row(number, Status.WAITING, f"train_{number:016x}/replicate_1") for number in range(5, 40)),
    *(_row(number, Status.MISSING) for number in range(40, 1000)),
    *(_row(number, Status.DONE) for number in range(1000, 2000)),
]


@given(st.integers(3, 60), st.sets(st.sampled_from(list(Status))))
def test_a_screen_fits(height: int, left_out: set[Status]) -> None:
    """However many runs there are, there are no more lines than the terminal has."""
    rows = [row for row in ROWS if row.status not in left_out]
    lines = _drawn(rows, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= 80


def test_what_a_screen_shows() -> None:
    """What runs has a bar; each kind has a fair share of lines, and says what is left out."""
    lines = _drawn(ROWS, 20)
    assert lines[0] == "2,000 runs: 1,000 done, 3 running, 2 failed, 35 waiting, 960 missing"
    assert lines[2] == "running: 3 runs"
    assert lines[3].startswith(f"  lottery_rewind_{0:016x}/1 ")
    assert " 50 % 1 h 6 min left process " in lines[3]
    assert lines[6] == "failed: 2 runs"
    assert lines[7].startswith(f"  lottery_rewind_{3:016x}/1 ")
    assert "no reason no reason" in lines[7]
    assert lines[9] == "waiting: 35 runs, not all shown"
    assert lines[10] == f"  lottery_rewind_{5:016x}/1 waits for train_{5:016x}/1"
    assert lines[15] == "missing: 960 runs, not all shown"
    assert len(lines) == 20


def test_as_text_nothing_is_cut() -> None:
    """A file has room for all."""
    lines = as_text(ROWS).splitlines()
    assert len([line for line in lines if line.startswith("  ")]) == 3 + 2 + 35 + 960
    assert f"  lottery_rewind_{3:016x}/1  {'no reason ' * 30}".rstrip() in lines


@pytest.mark.parametrize(
    ("wanted", "room", "given"),
    [
        ([3, 2], 9, [3, 2]),
        ([9, 9], 5, [3, 2]),
        ([1, 9, 2], 8, [1, 5, 2]),
        ([4], 0, [0]),
        ([4], -1, [0]),
        ([], 7, []),
    ],
)
def test_shares(wanted: list[int], room: int, given: list[int]) -> None:
    """Everybody has what he wants, or as much as the others; the first have what is left."""
    assert shares(wanted, room) == given


def test_a_screen_is_kept_up_to_date(root: Path) -> None:
    """It shows what is new, and ends when all runs are done."""
    run = begun(Store(root), dense(), reached=23)
    process, terminal = on_a_terminal(["status", "--every=0.1"])
    try:
        assert "1 run: 1 interrupted" in read(terminal, "interrupted: 1 run")
        finished(run)
        assert "1 run: 1 done" in read(terminal)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_control_c_leaves_it(root: Path) -> None:
    """Without an error: it was looked at long enough."""
    begun(Store(root), dense(), reached=23)
    process, terminal = on_a_terminal(["status"])
    try:
        read(terminal, "interrupted: 1 run")
        os.write(terminal, b"\x03")
        rest = read(terminal)
        assert process.wait(timeout=60) == 0
        assert "Traceback" not in rest
        assert "open_prune:" not in rest
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
