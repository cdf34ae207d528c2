"""Who a process is among those that train together, and what it computes on."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch._C._distributed_c10d import TCPStore

from foundations.errors import INTERRUPTED, UserError
from platforms import cores
from platforms.devices import resolve
from platforms.local import Local
from platforms.ranks import Group, Place, RankLostError, place

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("5 8 1 4", Place(5, 8, 1, 4)),
        ("0 1 0 1", None),
        ("0 2", None),
        ("a 2 0 2", None),
        ("", None),
    ],
)
def test_the_environment_says_who_one_is(
    monkeypatch: pytest.MonkeyPatch, told: str, found: Place | None
) -> None:
    """As torchrun sets it; one process alone is nobody among others."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in zip(NAMES, told.split(), strict=False):
        monkeypatch.setenv(name, value)
    assert place() == found


def test_cores_are_shared_among_those_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not the others have announced themselves yet."""
    monkeypatch.setattr(cores, "usable", lambda: 12)
    for name, value in zip(NAMES, ("2", "8", "2", "4"), strict=True):
        monkeypatch.setenv(name, value)
    assert Local().thread_count() <= 3
    assert Local(threads=5).thread_count() == 5


def test_each_has_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so where one is named for all, or where there are too few."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    second = Place(5, 8, 1, 4)
    assert resolve("cuda", second) == resolve("auto", second) == torch.device("cuda", 1)
    assert resolve("cpu", second) == torch.device("cpu")
    assert resolve("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(UserError, match="a GPU of its own"):
        resolve("cuda:0", second)
    with pytest.raises(UserError, match="cuda:2: there is no such GPU"):
        resolve("cuda", Place(2, 8, 2, 4))


def test_other_devices_are_refused() -> None:
    """Nothing that processes could exchange tensors of them with."""
    with pytest.raises(UserError, match=r"--device=mps.*Use --device=cpu"):
        Group(Place(0, 2, 0, 2), torch.device("mps"))


def test_a_lost_process_is_no_failure() -> None:
    """The run can be continued, as one that was stopped."""
    assert RankLostError("").exit_code == INTERRUPTED


TAKE_PART = """
import time, torch
from platforms.ranks import Group, place
here = place()
for attempt in range(12):
    if here.rank == attempt % here.size:
        time.sleep(0.2)
    group = Group(here, torch.device("cpu"))
    if group.leads:
        group.tell({"attempt": attempt})
    else:
        assert group.hear().message["attempt"] == attempt
    group.close()
"""


@pytest.mark.slow
def test_who_was_here_before_is_not_waited_for() -> None:
    """As under torchrun, which has one store for all its attempts; each by turns comes late."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with ExitStack() as stack:
        processes = [stack.enter_context(_part(rank, store.port)) for rank in range(3)]
        assert [process.wait(120) for process in processes] == [0, 0, 0]


@contextmanager
def _part(rank: int, port: int) -> Iterator[subprocess.Popen[bytes]]:
    told = {name: "3" for name in NAMES if name.endswith("SIZE")}
    told |= {name: str(rank) for name in NAMES if name.endswith("RANK")}
    told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    told |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", TAKE_PART],
        cwd=PROJECT,
        env=os.environ | told,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
