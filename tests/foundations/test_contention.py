"""Sixteen real processes want one claim: one has it at a time, and all get it."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from foundations.claims import Claim, owner_of
from tests.foundations.contenders import claim_and_die, claim_and_stay, contend
from tests.foundations.kills import exit_code, start

PROCESSES = 16


@pytest.mark.parametrize("dead_owner", [False, True])
def test_one_holds_it_at_a_time_and_all_get_it(tmp_path: Path, dead_owner: bool) -> None:  # noqa: FBT001 - a case
    """Told by the log of the holders: from nothing, and over an owner that was killed."""
    run, log = tmp_path / "run", tmp_path / "log"
    if dead_owner:
        assert exit_code(claim_and_die, run) == -signal.SIGKILL
    processes = [start(contend, run, log, 3) for _ in range(PROCESSES)]
    (tmp_path / "go").touch()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    lines = [line.split() for line in log.read_text().splitlines()]
    for (came, pid), (went, same) in zip(lines[::2], lines[1::2], strict=True):
        assert (came, went, pid) == ("in", "out", same)
    assert Counter(pid for _, pid in lines[::2]) == {str(one.pid): 3 for one in processes}
    assert owner_of(run) is None
    assert len(list((run / "claim").iterdir())) == 1


def test_a_killed_owner_is_taken_over_at_once(tmp_path: Path) -> None:
    """No heartbeat needs to be waited for on one machine, not even before the zombie is reaped."""
    process = start(claim_and_stay, tmp_path)
    while (owner := owner_of(tmp_path)) is None:
        time.sleep(0.01)
    assert (owner.pid, owner.alive) == (process.pid, True)
    assert Claim.acquire(tmp_path) is None
    os.kill(owner.pid, signal.SIGKILL)
    while (owner := owner_of(tmp_path)) is not None and owner.alive:
        time.sleep(0.01)
    with Claim.acquire(tmp_path) or pytest.fail("not taken over") as claim:
        claim.check()
    process.join()


def test_a_stopped_owner_on_this_machine_keeps_its_claim(tmp_path: Path) -> None:
    """A process that is suspended, even for long, is alive: nobody starts a second worker."""
    process = start(claim_and_stay, tmp_path)
    while (owner := owner_of(tmp_path)) is None:
        time.sleep(0.01)
    os.kill(owner.pid, signal.SIGSTOP)
    os.utime(tmp_path / "claim/1/owner.json", (0, 0))
    assert Claim.acquire(tmp_path) is None
    process.kill()
    process.join()
