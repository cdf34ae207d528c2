"""Steps that are named by cuts: ``prunes:300`` is where a run has made 300 of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches.interleaved import Interleaved
from commands.parsing import named, store_of
from foundations.description import BranchDesc
from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.description import Description
    from foundations.steps import Step

_PREFIX = "prunes:"


def with_cuts(arguments: Sequence[str], runs: Sequence[str]) -> list[str]:
    """The arguments, with a step in the place of each ``prunes:N``, in lists of steps too.

    Args:
        arguments: Of a command.
        runs: What the command calls the runs whose cuts are counted.

    Raises:
        UserError: N is no whole number, or a run does not prune while it trains, or not so often;
            or the runs have made so many cuts at different steps.
    """
    return [_resolved(word, arguments, runs) for word in arguments]


def step_of_cut(description: Description, count: int) -> Step:
    """The step at which a run has made so many cuts; with 0, where it begins.

    Raises:
        UserError: It does not prune while it trains, or not so often.
    """
    branch = description.branch if isinstance(description, BranchDesc) else None
    if not isinstance(branch, Interleaved):
        raise UserError(
            f"prunes:{count} counts the cuts of a run that prunes while it trains (interleaved), "
            f"and {description.name} does not: name a step, such as 2ep."
        )
    if count > branch.cuts:
        raise UserError(f"{description.name} makes {branch.cuts} cuts: there is no prunes:{count}.")
    return branch.pace.cut(count)


def _resolved(word: str, arguments: Sequence[str], runs: Sequence[str]) -> str:
    flag, equals, values = word.rpartition("=")
    steps = values.split(",")
    if not any(step.startswith(_PREFIX) for step in steps):
        return word
    found = [_step(step, arguments, runs) if _PREFIX in step else step for step in steps]
    return f"{flag}{equals}{','.join(found)}"


def _step(text: str, arguments: Sequence[str], runs: Sequence[str]) -> str:
    count = text.removeprefix(_PREFIX)
    if not count.isdecimal():
        raise UserError(f"{text!r} is not a number of cuts: write prunes:300.")
    store = store_of(arguments)
    found = {step_of_cut(named(store, run).description, int(count)) for run in runs}
    if len(found) != 1:
        raise UserError(
            f"{text} is not one step: "
            + (f"{', '.join(runs)} cut at different ones." if runs else "no run is named.")
        )
    return str(found.pop())
