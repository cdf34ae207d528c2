"""How a run is asked to stop: the first signal asks, the second interrupts.

The same signal again at once is no second one. It comes to a process on several ways: Slurm sends
it to a job's processes, and ``srun``, which gets it too, passes it on; a terminal sends it to all
processes of a group, and so does who started them.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], Any] | int

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Ctrl-C, a polite kill, and the end of a terminal; Windows lacks the last."""

_AT_ONCE_S = 0.5
"""Seconds in which a signal that comes again is the same."""


@dataclass
class Stop:
    """Whether a run was asked to stop. What trains looks at ``requested`` between two steps."""

    requested: str | None = None
    """The name of the signal that asked, ``"SIGINT"`` or ``"SIGTERM"``; None while none did."""
    _at: float = 0.0

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        name, now = signal.Signals(number).name, time.monotonic()
        if self.requested is None:
            self.requested, self._at = name, now
        elif self.requested != name or now - self._at > _AT_ONCE_S:
            raise KeyboardInterrupt(name)


@contextmanager
def graceful_stop() -> Iterator[Stop]:
    """Within it, the first SIGINT or SIGTERM asks to stop; a second raises KeyboardInterrupt.

    The handlers of before are put back at its end. A signal that is ignored stays so: a shell
    ignores SIGINT for its background jobs. Python lets only the main thread have handlers; in any
    other, nothing is changed and nothing is ever requested.
    """
    stop = Stop()
    before = _handlers()
    try:
        for number in before:
            signal.signal(number, stop._receive)  # noqa: SLF001 - Stop is a value for its readers
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handlers() -> dict[signal.Signals, Handler]:
    """The handlers to replace, by signal; those not set from Python could not be put back."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    return {n: h for n, h in handlers.items() if h is not None and h is not signal.SIG_IGN}
