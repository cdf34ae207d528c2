"""How runs are shared out among worker processes of this machine, and what becomes of them.

A place is what one worker has: its share of the cores and, where there are GPUs, one of them. Its
worker stays from run to run. A run that several processes train together takes as many places: a
worker of its own, who sees the GPUs of all of them, starts these processes.
"""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from platforms.crew import Ended, Outcome
from platforms.local import gpus
from platforms.local.worker import Worker
from platforms.threads import configure_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from platforms.crew import Task
    from platforms.local.platform import Local

_POLL_S = 0.1
"""How often those are looked at whose end nothing tells."""


@dataclass
class _Place:
    """What one worker has, and the worker who waits there, if one does."""

    gpu: str | None
    worker: Worker | None = None


@dataclass(frozen=True)
class _Busy:
    """Who carries out a task, and in which places."""

    who: Worker
    places: Sequence[_Place]


class LocalCrew:
    """Worker processes of this machine; each begins when there is something for it to do.

    Args:
        platform: How many, with which threads, roots and device.
        flags: What each run is told besides.
    """

    def __init__(self, platform: Local, flags: Sequence[str]) -> None:
        self._platform, self._flags = platform, tuple(flags)
        found = gpus.visible(platform.device)
        count = range(platform.workers)
        self._free = [_Place(found[i % len(found)] if found else None) for i in count]
        self._busy: dict[str, _Busy] = {}
        self._waiting: deque[Task] = deque()
        self._stopping = False

    def free(self) -> int:
        """The places that nobody works in, unless a task waits for several of them."""
        return 0 if self._waiting else len(self._free)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand these to workers, as soon as there are places."""
        waiting = {task.run for task in self._waiting}
        self._waiting += [t for t in tasks if t.run not in waiting and t.run not in self._busy]
        self._begin()

    def ended(self, timeout_s: float) -> list[Ended]:
        """What has ended; a worker who is gone leaves his place to a new one."""
        until = time.monotonic() + timeout_s
        while True:
            found = [*self._given_up(), *self._look()]
            self._begin()
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            self._wait(min(left, _POLL_S))

    def stop(self) -> None:
        """Ask everybody to save and stop; what has not begun does not."""
        self._stopping = True
        for busy in self._busy.values():
            busy.who.ask_to_stop()

    def close(self) -> None:
        """Let idle workers go; those at work, if any are left, are killed."""
        idle = [place.worker for place in self._free if place.worker is not None]
        for worker in idle:
            worker.dismiss()
        for busy in self._busy.values():
            busy.who.kill()
        for worker in idle:
            worker.wait()
        self._busy.clear()
        self._waiting.clear()
        self._free.clear()

    def _begin(self) -> None:
        """Begin what waits, in order, as far as there are places."""
        while self._waiting and not self._stopping:
            task = self._waiting[0]
            wanted = min(task.processes, self._platform.workers)
            if len(self._free) < wanted:
                return
            self._waiting.popleft()
            places, self._free = self._free[:wanted], self._free[wanted:]
            self._busy[task.run] = _Busy(self._who(task, places), places)

    def _who(self, task: Task, places: Sequence[_Place]) -> Worker:
        """The one who carries out a task, set to work."""
        stays = places[0].worker if task.processes == 1 else None
        if stays is not None:
            places[0].worker = None
        worker = stays or Worker(self._told(), self._environ(place.gpu for place in places))
        worker.begin(task)
        return worker

    def _told(self) -> list[str]:
        """The flags of a worker: those of this place, and those that were given."""
        device = self._platform.device.partition(":")[0]  # of several GPUs it sees its own alone
        return [*replace(self._platform, device=device).flags(), *self._flags]

    def _environ(self, names: Iterable[str | None]) -> dict[str, str]:
        environ = dict(os.environ)
        configure_threads(environ, workers=self._platform.workers)
        if found := [name for name in dict.fromkeys(names) if name is not None]:
            environ["CUDA_VISIBLE_DEVICES"] = ",".join(found)
        return environ

    def _look(self) -> list[Ended]:
        """What has ended by now."""
        found = []
        for run, busy in list(self._busy.items()):
            ended = busy.who.ended()
            if ended is None:
                continue
            del self._busy[run]
            if ended.task.processes > 1:
                busy.who.dismiss()
                busy.who.wait()
            elif busy.who.alive:
                busy.places[0].worker = busy.who
            self._free += busy.places
            if ended.outcome is Outcome.LOST and self._stopping:
                ended = replace(ended, outcome=Outcome.STOPPED)
            found.append(ended)
        return found

    def _given_up(self) -> list[Ended]:
        """What waited when everybody was asked to stop."""
        given_up = [*self._waiting] if self._stopping else []
        if given_up:
            self._waiting.clear()
        return [Ended(task, Outcome.STOPPED) for task in given_up]

    def _wait(self, timeout_s: float) -> None:
        """Wait for an answer, or for so long."""
        with selectors.DefaultSelector() as selector:
            for busy in self._busy.values():
                selector.register(busy.who, selectors.EVENT_READ)
            selector.select(timeout_s)
