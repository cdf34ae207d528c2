"""How one run is carried out in this process for somebody else, and what he is told of it.

The run's directory tells the same to everybody: a run that is refused or fails has its
``failed.json``, whatever the reason; one that was stopped has none, for it can go on.
"""

from __future__ import annotations

import os
import platform
import traceback
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import begins, recipe_of, start_decides_training
from branches.run import Job, complete
from foundations.claims import owner_of
from foundations.errors import INTERRUPTED, InterruptedRunError, OpenPruneError, RunFailedError
from foundations.plugins import blame
from foundations.run_directory import Fact, RunState
from platforms.crew import Outcome
from platforms.fingerprint import now
from platforms.ranks import rank

if TYPE_CHECKING:
    from foundations.run_directory import RunDirectory
    from training.context import Context


def carried_out(
    directory: RunDirectory, context: Context, *, whole: bool = True, patient: bool = True
) -> OpenPruneError | None:
    """Carry out the run in a directory.

    Args:
        directory: The run's; its ``hparams.json`` says what it is.
        context: Where and how; the options say which states are asked for. The reporter is told of
            failures too, with a traceback where nobody foresaw them.
        whole: False trains only as far as these states.
        patient: Wait for another process that trains the run now; False counts as stopped.

    Returns:
        Why it is not done, None if it is. An exit code of ``INTERRUPTED`` means that it can go on.
    """
    host, process = platform.node() or "this machine", os.getpid()
    context.reporter.say(f"[{now()}] {_name(directory)}: process {process} on {host}")
    error = _attempt(directory, context, whole=whole, patient=patient)
    if error is None:
        context.reporter.say(f"[{now()}] done")
        return None
    context.reporter.say(f"[{now()}] {error}")
    if error.exit_code != INTERRUPTED and rank() == 0:
        note_failure(directory, str(error))
    return error


def note_failure(directory: RunDirectory, reason: str) -> None:
    """Leave word that a run failed, unless that is there, it is done or somebody works on it."""
    if directory.state in {RunState.DONE, RunState.RUNNING, RunState.FAILED}:
        return
    with suppress(OpenPruneError, OSError):  # it is told in other ways too
        directory.write_fact(Fact.FAILED, {"reason": reason})


def outcome_of(error: OpenPruneError | None) -> Outcome:
    """How an attempt ended."""
    if error is None:
        return Outcome.DONE
    return Outcome.STOPPED if error.exit_code == INTERRUPTED else Outcome.FAILED


def _attempt(
    directory: RunDirectory, context: Context, *, whole: bool, patient: bool
) -> OpenPruneError | None:
    try:
        owner = owner_of(directory.path)
        if owner is not None and owner.alive and not patient:
            return InterruptedRunError(f"{_name(directory)} is being trained by {owner}.")
        if rank() == 0:
            directory.remove_fact(Fact.FAILED)  # what is found then is of this attempt
        job = Job(directory.description(KINDS), directory.replicate)
        complete(job, with_its_steps(job, context), whole=whole)
    except OpenPruneError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever it is, others are waiting to hear of it
        context.reporter.say(traceback.format_exc())
        told = blame(error)
        reason = f"A plugin failed.\n{told}" if told else f"{type(error).__name__}: {error}"
        return RunFailedError(reason)
    return None


def with_its_steps(job: Job, context: Context) -> Context:
    """Of the states that are asked for, those that this run comes by.

    They are often asked of many runs at once. A level of a lottery that was rewound to 1000it has
    no state at 500it, which level 0 has; and who needs a state past the end of a run is to be told
    so, not the run.
    """
    options = context.options
    if not options.weight_save_steps:
        return context
    from training.setting import Setting

    setting = Setting.on(context.platform, recipe_of(job.description), job.replicate)
    per_epoch = setting.iterations_per_epoch
    first = begins(job.description).iterations(per_epoch)
    last = inf if start_decides_training(job.description) else setting.end
    steps = tuple(
        step for step in options.weight_save_steps if first <= step.iterations(per_epoch) <= last
    )
    return replace(context, options=replace(options, weight_save_steps=steps))


def _name(directory: RunDirectory) -> str:
    return f"{directory.name}/{directory.path.name}"
