"""Who carries a run on: whoever claims it, unless what is wanted of it is there by then."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from foundations.errors import InterruptedRunError
from foundations.run_directory import Fact, RunState
from foundations.steps import Step
from platforms import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.claims import Claim
    from foundations.owners import Owner
    from foundations.run_directory import RunDirectory
    from training.context import Context

_POLL_S = 0.25


def is_there(directory: RunDirectory, steps: Sequence[Step], *, whole: bool) -> bool:
    """Whether a run is done (with ``whole``) and has these states. Needs no torch."""
    start = directory.fact(Fact.START)
    if start is None or (whole and directory.state is not RunState.DONE):
        return False
    per_epoch = start["iterations_per_epoch"]
    saved = directory.available()
    return all(Step.at(step.iterations(per_epoch), per_epoch) in saved for step in steps)


def tidy(directory: RunDirectory) -> None:
    """Clear away what a killed worker left in a run that has all that is asked for."""
    if directory.has_leftovers:
        claim = directory.claim()  # which cleans
        if claim is not None:
            claim.release()


def claimed(
    directory: RunDirectory, context: Context, steps: Sequence[Step], *, whole: bool
) -> Claim | None:
    """The claim; None when another worker has meanwhile done what is asked for."""
    told: set[str] = set()
    waiting = ExitStack()

    def wait(owner: Owner) -> None:
        if is_there(directory, steps, whole=whole):
            raise _DoneElsewhere
        if context.stop.requested is not None:
            raise InterruptedRunError(f"Stopped while waiting for {owner} to train this run.")
        ask_for(directory, steps)
        if not told:
            waiting.enter_context(threads.withdrawn())
        if owner.token not in told:
            told.add(owner.token)
            context.reporter.say(f"{directory.name} is being trained by {owner}; waiting for it.")
        time.sleep(_POLL_S)

    try:
        with waiting:
            claim = directory.claim(wait=wait)
    except _DoneElsewhere:
        return None
    if claim is not None and is_there(directory, steps, whole=whole):
        claim.release()
        return None
    return claim


def ask_for(directory: RunDirectory, steps: Sequence[Step]) -> None:
    """Tell the worker who trains the run which states are waited for, so that he saves them."""
    start = directory.fact(Fact.START)
    if start is not None:
        per_epoch = start["iterations_per_epoch"]
        directory.ask_for(Step.at(step.iterations(per_epoch), per_epoch) for step in steps)


class _DoneElsewhere(Exception):  # noqa: N818 - a way out of waiting, not an error
    """Another worker has done it."""
