"""How progress is shown: lines off a terminal, a live bar on one, and what Ctrl-C does there."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import torch

from commands.progress import Bar, Lines, Pace, Silent, reporter
from tests.commands.terminal import on_a_terminal, read

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.commands.conftest import Cli

LONG = ["train", "--default_hparams=digits_lenet_8", "--training_steps=9999ep", "--threads=1"]
MEASURED = {"train loss": 0.25, "test accuracy": 0.5, "test top5": 0.75}


class _Stream:
    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def test_the_reporter_fits_the_stream() -> None:
    """A bar on a terminal, lines elsewhere, nothing when quiet."""
    assert isinstance(reporter(quiet=False, stream=_Stream(terminal=True)), Bar)
    assert isinstance(reporter(quiet=False, stream=_Stream(terminal=False)), Lines)
    assert type(reporter(quiet=True, stream=_Stream(terminal=True))) is Silent


def test_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A title, then a line an epoch: epoch, measures, speed and time left."""
    clock = iter([0.0, 10.0, 12.0, 15.0, 20.0]).__next__
    monkeypatch.setattr(time, "perf_counter", clock)
    lines = Lines()
    lines.begin("a run", 5, 15, 5, 50)
    lines.step(7, torch.tensor(1.0))
    lines.epoch(10, MEASURED)
    lines.epoch(15, MEASURED)
    lines.end()
    measured = "train loss 0.2500  test accuracy 50.00 %  test top5 75.00 %"
    assert capsys.readouterr().out.splitlines() == [
        "a run",
        f"  epoch 2/3  {measured}  25 images/s  2.0 s left",
        f"  epoch 3/3  {measured}  17 images/s  0.0 s left",
    ]


def test_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images a second since it was last asked; time left at the pace since the beginning."""
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    pace = Pace(iteration=10, end=110, per_epoch=20, n=200)
    assert pace.at(10) == ""
    now = 2.0
    assert pace.at(30) == "100 images/s  8.0 s left"
    now = 8.0
    assert pace.at(60) == "50 images/s  8.0 s left"
    assert pace.whole(60) == "62 images/s  8.0 s"
    assert [pace.epochs(at) for at in (10, 20, 21, 110)] == [
        "epoch 1/6",
        "epoch 1/6",
        "epoch 2/6",
        "epoch 6/6",
    ]


def test_a_bar_on_a_terminal_and_control_c(cli: Cli, root: Path) -> None:
    """All fits into 80 columns; Ctrl-C saves, says how to continue, and gives its exit code."""
    process, terminal = on_a_terminal(LONG)
    try:
        bar = r"epoch \d+/9999  loss \d\.\d{4}  test \d+\.\d\d %  [\d,]+ images/s  \d.* left "
        shown = read(terminal, bar)
        assert re.search(bar, shown)
        os.write(terminal, b"\x03")
        rest = read(terminal)
        assert process.wait(timeout=60) == 75
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert "open_prune: Stopped by SIGINT; train_" in rest
    assert "Run the same command again to continue." in " ".join(rest.split())
    assert "Traceback" not in rest
    (run,) = root.glob("*/replicate_1")
    assert list((run / "checkpoint").iterdir())
    listed = cli("ls")
    assert listed.rows[1][2].startswith("interrupted")
    assert cli(*LONG, "--dry_run").rows[1][2] == "would continue, to its end"
