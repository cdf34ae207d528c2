"""How processes that work together are started, watched, begun again and asked to stop."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from foundations.errors import INTERRUPTED, RunFailedError
from platforms.launching import LAUNCHER, RESTARTS, launch
from platforms.stop import Stop

if TYPE_CHECKING:
    from pathlib import Path


class _Launched:
    """A small program, started as two processes."""

    def __init__(self, folder: Path, program: str) -> None:
        lines = [
            "import os, pathlib, signal, sys, time",
            f"folder, rank = pathlib.Path({str(folder)!r}), int(os.environ['RANK'])",
            "attempt = len(list(folder.glob(f'{rank}_*')))",
            "(folder / f'{rank}_{attempt}').write_text(str(os.getpid()))",
            program,
        ]
        self.folder, self.log, self.stop = folder, folder / "log.txt", Stop()
        self.said: list[str] = []
        self._command = [sys.executable, "-c", "\n".join(lines)]

    def code(self) -> int:
        """The exit code of the first, once all have ended."""
        return launch(self._command, 2, log=self.log, stop=self.stop, say=self.said.append)

    @property
    def starts(self) -> list[str]:
        """Which process began how often."""
        return sorted(path.name for path in self.folder.glob("?_?"))


def test_each_is_told_who_it_is(tmp_path: Path) -> None:
    """In the words of torchrun; both are told one address, and who started them."""
    names = "WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT " + LAUNCHER
    write = f"[os.environ[name] for name in {names.split()}]"
    launched = _Launched(tmp_path, f"(folder / f'said{{rank}}').write_text(' '.join({write}))")
    assert launched.code() == 0
    first, second = ((tmp_path / f"said{rank}").read_text().split() for rank in range(2))
    assert (first[:3], second[:3]) == (["2", "0", "2"], ["2", "1", "2"])
    assert first[3:] == second[3:]
    assert (first[3], first[5]) == ("127.0.0.1", str(os.getpid()))


@pytest.mark.parametrize("code", [0, 1, 2, INTERRUPTED])
def test_what_the_first_comes_to_is_what_all_come_to(tmp_path: Path, code: int) -> None:
    """A refusal, a failure or a stop is no loss: nothing begins again."""
    launched = _Launched(tmp_path, f"sys.exit({code} if rank == 0 else 0)")
    assert launched.code() == code
    assert launched.starts == ["0_0", "1_0"]


@pytest.mark.parametrize("killed", [0, 1])
def test_when_one_is_lost_all_begin_again(tmp_path: Path, killed: int) -> None:
    """Whichever it is; the other leaves with the code of what can be continued."""
    launched = _Launched(
        tmp_path,
        f"if attempt == 0 and rank == {killed}: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"sys.exit(0 if attempt else {INTERRUPTED})",
    )
    assert launched.code() == 0
    assert launched.starts == ["0_0", "0_1", "1_0", "1_1"]
    assert len(launched.said) == 1
    assert "-9" in launched.said[0]


def test_what_is_lost_again_and_again_fails(tmp_path: Path) -> None:
    """So many restarts, and the log is named, which has what the lost one said."""
    launched = _Launched(tmp_path, f"sys.exit('my last words' if rank else {INTERRUPTED})")
    with pytest.raises(RunFailedError, match=r"lost 4 times.*log\.txt"):
        launched.code()
    assert len(launched.said) == 1 + RESTARTS
    assert launched.log.read_text().count("my last words") == 1 + RESTARTS


def test_a_stop_is_passed_on_to_all(tmp_path: Path) -> None:
    """Each gets one signal; what they leave with then is no loss."""
    launched = _Launched(
        tmp_path,
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "(folder / f'ready{rank}').touch()\ntime.sleep(300)",
    )

    def ask() -> None:
        while len(list(tmp_path.glob("ready?"))) < 2:
            time.sleep(0.02)
        launched.stop.requested = "SIGINT"

    asking = threading.Thread(target=ask)
    asking.start()
    assert launched.code() == INTERRUPTED
    asking.join()
    assert launched.starts == ["0_0", "1_0"]
    assert launched.said == []


def test_nobody_is_left_behind(tmp_path: Path) -> None:
    """An error in the one who started them ends them."""
    launched = _Launched(tmp_path, "time.sleep(300)")

    class _Broken(Stop):
        @property
        def requested(self) -> str | None:
            if len(launched.starts) == 2:
                raise KeyboardInterrupt
            return None

        @requested.setter
        def requested(self, value: str | None) -> None:
            pass

    launched.stop = _Broken()
    with pytest.raises(KeyboardInterrupt):
        launched.code()
    for name in launched.starts:
        pid = (tmp_path / name).read_text()
        assert subprocess.run(["kill", "-0", pid], capture_output=True, check=False).returncode  # noqa: S607
