"""What is refused before processes are started for a run; what is told when they say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from branches import launched
from branches.describing import describe
from branches.run import Job, complete
from commands.progress import Silent
from foundations.errors import USER_ERROR, RunFailedError, UserError
from platforms.local import Local
from training.context import Context

if TYPE_CHECKING:
    from pathlib import Path

RUN = Job(describe("digits_lenet_8", numerics="float32_world_2"))


def _context(root: Path, device: str) -> Context:
    return Context(Local(root=str(root), device=device, threads=1), Silent())


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("cuda", "cuda:1: there is no such GPU here, only cuda:0"),
        ("cuda:0", "a GPU of its own"),
        ("mps", r"--device=mps.*Use --device=cpu"),
    ],
)
def test_devices_that_not_all_have_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, says: str
) -> None:
    """Not by one of the processes while the others wait for it; nothing is left of the run."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(launched, "launch", _nobody)
    with pytest.raises(UserError, match=says):
        complete(RUN, _context(tmp_path, device))
    assert not list(tmp_path.rglob("replicate_1"))


def _nobody(*_: object, **__: object) -> int:
    pytest.fail("somebody was started")


def test_the_log_that_is_named_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the processes leave no other word of why they ended."""

    def launch(*_: object, log: Path, **__: Any) -> int:
        log.write_text("why")
        return USER_ERROR

    monkeypatch.setattr(launched, "launch", launch)
    with pytest.raises(RunFailedError, match=r"log\.txt tells why"):
        complete(RUN, _context(tmp_path, "cpu"))
    (log,) = tmp_path.rglob("log.txt")
    assert log.read_text() == "why"
