"""Processes that read images: how they are started, asked, and ended.

Each has a pipe of its own, gets requests in turn and answers them in order, so nothing is shared
and nothing needs a lock. It ends when its pipe is closed, which the end of this process does by
itself, even a violent one. It ignores the signals that ask a run to stop, which reach every process
of a terminal or a job: the run finishes its step and closes the pipes.
"""

from __future__ import annotations

import atexit
import multiprocessing
import signal
import weakref
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from datasets.answering import serve
from datasets.reading import read
from foundations.errors import RunFailedError
from platforms.stop import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from multiprocessing.context import SpawnContext

    import numpy as np

    from datasets.reading import Request

AHEAD = 4
"""How many requests each process has before it, the one it works on included."""

END_SECONDS = 10
"""How long a process may take to finish what it works on when it is no longer needed."""


class Workers:
    """So many processes that read images, started when they are first needed.

    They are ended when this is no longer used, or ``close`` is called; they may start again.

    Args:
        count: How many; with 0, the calling process reads itself.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._running: list[_Worker] = []
        self._turn = 0

    def map(self, requests: Iterable[Request]) -> Iterator[np.ndarray]:
        """The answers to requests, in their order; a few are asked ahead of what is taken.

        It may be left off at any time, and several can be gone through at once.

        Raises:
            DamageError: A file is no image.
            RunFailedError: A process has died.
        """
        if not self.count:
            yield from map(read, requests)
            return
        asked: deque[tuple[_Worker, int]] = deque()
        try:
            for request in requests:
                if len(asked) == AHEAD * self.count:
                    yield self._answer(*asked.popleft())
                asked.append(self._ask(request))
            while asked:
                yield self._answer(*asked.popleft())
        finally:
            for worker, number in asked:
                worker.forget(number)

    def close(self) -> None:
        """End the processes."""
        _end(self._running)

    def _ask(self, request: Request) -> tuple[_Worker, int]:
        if not self._running:
            self._start()
        self._turn = (self._turn + 1) % self.count
        worker = self._running[self._turn]
        with self._watched(worker):
            return worker, worker.ask(request)

    def _answer(self, worker: _Worker, number: int) -> np.ndarray:
        with self._watched(worker):
            answer = worker.answer(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        # This process has threads, and may have used a GPU: a fork of it would not be safe.
        with _signals_held():
            self._running += [_Worker(context) for _ in range(self.count)]
        end = weakref.finalize(self, _end, self._running)
        # Before multiprocessing's own, which waits for processes whose pipes are still open.
        atexit.register(end)

    @contextmanager
    def _watched(self, worker: _Worker) -> Iterator[None]:
        """Say what has happened where a process is gone."""
        try:
            yield
        except (EOFError, OSError) as error:
            code = worker.exit_code()
            self.close()
            raise RunFailedError(
                f"A process that reads images has died (exit code {code}): the system may have "
                "run out of memory. The same command continues; --num_workers=N sets how many "
                "there are, and 0 reads in the run itself."
            ) from error


class _Worker:
    """One process, and what it was asked."""

    def __init__(self, context: SpawnContext) -> None:
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is noticed
        self._asked = self._answered = 0
        self._kept: dict[int, np.ndarray | Exception] = {}
        self._forgotten: set[int] = set()

    def ask(self, request: Request) -> int:
        """Hand it a request; returns its number."""
        self._pipe.send(request)
        self._asked += 1
        return self._asked

    def answer(self, number: int) -> np.ndarray | Exception:
        """What it answers to a request; answers to earlier ones are kept for who asked."""
        while number not in self._kept:
            found = self._pipe.recv()
            self._answered += 1
            if self._answered in self._forgotten:
                self._forgotten.discard(self._answered)
            else:
                self._kept[self._answered] = found
        return self._kept.pop(number)

    def forget(self, number: int) -> None:
        """Nobody wants the answer to this request any more."""
        if self._kept.pop(number, None) is None:
            self._forgotten.add(number)

    def exit_code(self) -> int | None:
        """Its exit code, where it has ended and nobody has looked yet."""
        with suppress(ValueError):
            self.process.join(1)
            return self.process.exitcode
        return None

    def hang_up(self) -> None:
        """Tell it to end."""
        self._pipe.close()

    def wait(self) -> None:
        """Wait until it has ended, but not for ever."""
        self.process.join(END_SECONDS)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.process.close()


def _end(running: list[_Worker]) -> None:
    """End these processes, and leave the list empty."""
    for worker in running:
        worker.hang_up()
    while running:
        running.pop().wait()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Within it no signal asks to stop, here or in the processes that are started; then it does.

    A process is not yet ready to ignore one while it imports.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    with suppress(ImportError):
        from multiprocessing.resource_tracker import ensure_running

        ensure_running()  # it unblocks signals where it is started by the first process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
