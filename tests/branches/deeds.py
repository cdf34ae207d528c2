"""What processes of their own do in the tests of this folder; imported before they are forked."""

# ruff: noqa: ARG002 - reporters are told more than they use

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch._inductor  # what torch imports when it is first made deterministic

import datasets.loader
import open_prune
from branches.run import Job, complete
from commands import work
from commands.progress import Lines, Silent
from foundations.errors import OpenPruneError
from platforms import fingerprint
from pruning import prune, shuffle  # noqa: F401 - as above: imported before the fork
from tests.branches.runs import Example, context
from training import interleaving, recording, replaying, setting, start  # noqa: F401 - as above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from training.context import Reporter

CHANGES = ("open", "write", "replace", "rename", "mkdir", "unlink", "rmdir")
"""The calls that change what files there are, or what they hold."""


class Acting(Lines):
    """Prints lines, and does something after so many updates, of whatever run."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._left, self._act = at, act

    def step(self, iteration: int, loss: Tensor) -> None:
        """Count."""
        self._left -= 1
        if self._left == 0:
            self._act()


class Logging(Silent):
    """Appends each update that is made to a file that all processes share."""

    def __init__(self, log: Path) -> None:
        self._log, self._run = log, ""

    def begin(self, title: str, iteration: int, end: int, per_epoch: int, examples: int) -> None:
        """Which run it is."""
        self._run = title.split(maxsplit=1)[0]

    def step(self, iteration: int, loss: Tensor) -> None:
        """A line, in one stroke; and time for others to come by."""
        append(self._log, f"{self._run} {iteration} {os.getpid()}\n")
        time.sleep(0.02)


def carry_out(root: Path, example: Example, die_after: int = 0) -> None:
    """Carry out a run; be killed after so many updates, if not 0.

    Leaves the message of an error beside the root.
    """
    _train(root, example, Acting(die_after, lambda: os.kill(os.getpid(), signal.SIGKILL)))


def carry_out_unkeyed(root: Path, example: Example, die_after: int = 0) -> None:
    """The same with an order of the data that depends on how many epochs were drawn before."""
    one_for_all = torch.Generator().manual_seed(0)
    vars(datasets.loader)["generator"] = lambda *_: one_for_all
    carry_out(root, example, die_after)


def carry_out_logged(root: Path, example: Example, log: Path) -> None:
    """Wait for the start that all wait for, and carry out a run that logs its updates."""
    while not (log.parent / "go").exists():
        time.sleep(0.001)
    _train(root, example, Logging(log))


def carry_out_until(root: Path, example: Example, change: int) -> None:
    """Be killed at this change of the files; exits with 0 if there are fewer."""
    with _at_change(change, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        _train(root, example, Silent())


def carry_out_on_full_disk(root: Path, example: Example, change: int) -> None:
    """The disk is full from this change on; leaves the message of the error beside the root."""

    def refuse() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    error = None
    with _at_change(change, refuse, ("open", "write", "mkdir")):
        try:
            _run(root, example, Silent())
        except OpenPruneError as raised:
            error = raised
    if error is not None:
        _message(root).write_text(str(error))
        sys.exit(error.exit_code)


def command(arguments: Sequence[str], out: Path, signals: Sequence[int], then: int = 0) -> None:
    """Be the command line, and send itself signals after five updates.

    Args:
        arguments: Of the command.
        out: Where its output goes.
        signals: All are sent then.
        then: At this change of the files after them, and at all further ones, SIGINT is sent; 0 is
            at none.
    """
    _quick(out)
    sys.stdout = sys.stderr = out.open("w")
    with ExitStack() as stack:

        def act() -> None:
            _send(signals)
            if then:
                stack.enter_context(_at_change(then, lambda: _send([signal.SIGINT])))

        reporter = Acting(5, act)
        vars(work)["reporter"] = lambda **_: reporter
        code = open_prune.main(arguments)
    sys.stdout.flush()
    os._exit(code)


def append(log: Path, line: str) -> None:
    """Append to a file that others append to."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def _send(signals: Sequence[int]) -> None:
    for number in signals:
        os.kill(os.getpid(), number)


def _quick(root: Path) -> None:
    """What is slow and of no influence on the bytes; and a place of the test's to announce in."""
    tempfile.tempdir = str(root.parent)
    vars(fingerprint).update(commit=lambda _: None, _packages=lambda _: {})
    torch.set_num_threads(1)


def _train(root: Path, example: Example, reporter: Reporter) -> None:
    try:
        _run(root, example, reporter)
    except OpenPruneError as error:
        _message(root).write_text(str(error))
        sys.exit(error.exit_code)


def _run(root: Path, example: Example, reporter: Reporter) -> None:
    _quick(root)
    complete(Job(example.description), context(root, reporter, example.options))


def _message(root: Path) -> Path:
    """Where the message of an error is left."""
    return root.with_name(f"{root.name}.message")


@contextmanager
def _at_change(
    change: int, act: Callable[[], None], calls: Sequence[str] = CHANGES
) -> Iterator[None]:
    """Act at this call that changes files, and at all after it, if the process lives on."""
    left = change

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            nonlocal left
            if name == "open" and not args[1] & os.O_CREAT:
                return real(*args, **options)
            left -= 1
            if left <= 0:
                if name == "write":  # a part of it is written
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                act()
            return real(*args, **options)

        return run

    before = {name: getattr(os, name) for name in calls}
    try:
        for name, real in before.items():
            setattr(os, name, counted(name, real))
        yield
    finally:
        for name, real in before.items():
            setattr(os, name, real)
