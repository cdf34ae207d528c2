"""Run something in a process of its own that is killed at a chosen moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerContext
    from multiprocessing.process import BaseProcess

CALLS = ("open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir")
"""The calls by which a file system changes; a process is killed just before one of them."""


def fresh_processes() -> ForkServerContext:
    """Processes that have imported what is slow to import, and nothing of the test's state."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            *("torch", "torchvision", "safetensors.torch"),
            *("tests.foundations.scenarios", "tests.branches.deeds"),
        ]
    )
    return context


def start(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start ``function`` in a process of its own."""
    process = fresh_processes().Process(target=function, args=arguments)
    process.start()
    return process


def exit_code(function: Callable[..., None], *arguments: Any) -> int:
    """Run ``function`` in a process of its own, to its end; a negative code is a signal."""
    process = start(function, *arguments)
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def killed_at(call: int, function: Callable[..., None], *arguments: Any) -> bool:
    """Run ``function`` until its so-manieth call that changes files; False if it has fewer."""
    code = exit_code(_run_until, call, function, *arguments)
    assert code in (0, -signal.SIGKILL), code
    return code == -signal.SIGKILL


def _run_until(call: int, function: Callable[..., None], *arguments: Any) -> None:
    left = call

    def mortal(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                if name == "write":  # half of it is written
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return run

    os.fsync = _no_sync  # what a killed process wrote is there: only a power cut needs more
    for name in CALLS:
        setattr(os, name, mortal(name, getattr(os, name)))
    function(*arguments)


def _no_sync(fd: object) -> None:
    """Stand in for an fsync, which takes milliseconds."""
