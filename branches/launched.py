"""How a run that several processes train is carried out by a process that is alone.

It starts them, on this machine, and they are told no more than the name of the run. Where torchrun
has started this process with others, there must be as many as the run is for.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from foundations.errors import (
    INTERRUPTED,
    USER_ERROR,
    InterruptedRunError,
    RunFailedError,
    UserError,
)
from foundations.hparams import flag_of
from foundations.plugins import loaded
from foundations.run_directory import LOG
from platforms.devices import resolve
from platforms.fingerprint import PROJECT
from platforms.launching import launch
from platforms.ranks import Place, check_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.run_directory import RunDirectory
    from foundations.steps import Step
    from training.context import Context


def are_here(processes: int, directory: RunDirectory, context: Context) -> bool:
    """Whether the processes that train a run are those that were started; False if none were.

    Raises:
        UserError: Others were; names both numbers.
    """
    here = 1 if context.group is None else context.group.size
    if here not in {1, processes}:
        run = "one process trains" if processes == 1 else f"{processes} processes train"
        raise UserError(
            f"{directory.name} is a run that {run}, as its numerics say, and {here} were started. "
            "Leave out torchrun: a run of several processes starts them itself."
        )
    return here == processes


def by_others(
    processes: int,
    directory: RunDirectory,
    context: Context,
    steps: Sequence[Step],
    *,
    whole: bool,
) -> None:
    """Have a run carried out by processes that are started for it.

    Raises:
        UserError: They have refused it, or this machine has no device for each of them.
        RunFailedError: It failed, or one of them was lost again and again.
        InterruptedRunError: It was asked to stop; the same call continues.
    """
    name = f"{directory.name}/{directory.path.name}"
    log = directory.path / LOG
    _check_devices(processes, context.platform.device)
    context.reporter.say(f"{name} is trained by {processes} processes, which tell of it in {log}")
    code = launch(
        [*_words(name, context, steps), *([] if whole else ["--part"])],
        processes,
        log=log,
        stop=context.stop,
        say=context.reporter.say,
    )
    if code == INTERRUPTED:
        asked = f"Stopped by {context.stop.requested}; " if context.stop.requested else ""
        raise InterruptedRunError(
            f"{asked}{name} is saved. Run the same command again to continue."
        )
    if code:
        failed = directory.failure()
        if failed is None:  # no refusal, with which a run that has not begun would go, log and all
            raise RunFailedError(f"{log} tells why {name} failed.")
        raise (UserError if code == USER_ERROR else RunFailedError)(failed)


def _check_devices(processes: int, name: str) -> None:
    """Refuse what one of them would refuse, for which the others would wait as for one lost."""
    for rank in range(processes):
        check_device(resolve(name, Place(rank, processes, rank, processes)))


def _words(name: str, context: Context, steps: Sequence[Step]) -> list[str]:
    """The command that carries out the run, with what this process was told."""
    options = replace(context.options, weight_save_steps=())
    return [
        sys.executable,
        str(PROJECT / "open_prune.py"),
        "run",
        name,
        *([flag_of("steps", tuple(steps))] if steps else []),
        *options.flags(),
        *context.platform.flags(),
        *(flag_of("plugin", str(plugin.path)) for plugin in loaded()),
    ]
