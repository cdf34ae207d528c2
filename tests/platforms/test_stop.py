"""How a run is asked to stop: real signals to real processes."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from platforms.stop import graceful_stop

ROOT = Path(__file__).resolve().parents[2]
PATIENT = """
import signal, time
from platforms.stop import graceful_stop
with graceful_stop() as stop:
    print("looping", flush=True)
    while stop.requested is None:
        time.sleep(.01)
    print("saved", stop.requested)
print("handler back", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
STUBBORN = """
import time
from platforms.stop import graceful_stop
try:
    with graceful_stop() as stop:
        print("looping", flush=True)
        while stop.requested is None:
            time.sleep(.01)
        print("asked", stop.requested, flush=True)
        time.sleep(20)
except KeyboardInterrupt as error:
    print("interrupted", error)
"""


def process_of(code: str) -> "subprocess.Popen[str]":
    """A process that runs ``code`` from the top of the project."""
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks(number: signal.Signals) -> None:
    """The process goes on to where it looks, and ends by itself."""
    with process_of(PATIENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "looping\n"
        process.send_signal(number)
        rest, _ = process.communicate(timeout=20)
    assert rest == f"saved {number.name}\nhandler back True\n"
    assert process.returncode == 0


def test_the_second_signal_interrupts_at_once() -> None:
    """Whichever it is, and though the process does not look."""
    with process_of(STUBBORN) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "looping\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked SIGTERM\n"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=15)
    assert rest == "interrupted SIGINT\n"


def test_the_same_signal_at_once_is_the_same_request() -> None:
    """A group of processes and who passes it on both send it: nothing is interrupted."""
    with graceful_stop() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested == "SIGTERM"


def test_the_same_signal_later_interrupts() -> None:
    """Ctrl-C once more, after nothing has happened."""
    with graceful_stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        stop._at -= 1
        with pytest.raises(KeyboardInterrupt, match="SIGINT"):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_put_back_after_an_error() -> None:
    """Those of before, even when what was done within failed."""
    mine = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        handler = signal.getsignal(signal.SIGTERM)
        with suppress(ZeroDivisionError), graceful_stop():
            assert signal.getsignal(signal.SIGTERM) is not handler
            raise ZeroDivisionError
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, mine)


def test_an_ignored_signal_stays_ignored() -> None:
    """A background job of a shell must not be stopped by its terminal's Ctrl-C."""
    mine = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with graceful_stop() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.requested is None
    finally:
        signal.signal(signal.SIGINT, mine)


def test_outside_the_main_thread_nothing_is_changed() -> None:
    """A notebook may train in a thread: it works there, and is never asked."""
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def train() -> None:
        with graceful_stop() as stop:
            seen.extend([stop.requested, signal.getsignal(signal.SIGINT) is before])

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [None, True]
