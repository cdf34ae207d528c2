"""How several processes that were started together carry out runs: the first leads, others follow.

The first does all that one process alone would do: it claims runs, prunes, writes files and tells
what happens. Whenever it trains, the others take part; else they wait. What a run is, and the
states that its training needs, they learn from the first, so they read no run directory.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import branch_of
from foundations.description import BranchDesc, decode
from foundations.errors import INTERRUPTED, OpenPruneError
from platforms import threads
from platforms.launching import LAUNCHER
from platforms.ranks import Group, RankLostError, place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foundations.description import Description
    from foundations.hparams import Json
    from training.context import Context
    from training.setting import Setting
    from training.state import State

_RUN, _LEAVE = "run", "leave"
_LOOK_S = 1.0
_LEAVE_S = 600.0
"""How long a process may take to stop politely when nobody is left who could end it."""


@contextmanager
def together(context: Context) -> Iterator[Context | None]:
    """What this process has to go by: its context, with the others, if it leads or is alone.

    None in the others: there the work is done when this is entered.

    Raises:
        RankLostError: One of them is gone.
    """
    here = place()
    if here is None:
        yield context
        return
    _end_with_launcher()
    with threads.announce():
        group = Group(here, context.platform.torch_device(), context.stop)
        try:
            with leading(group, context) as led_by:
                yield led_by
        finally:
            group.close()


@contextmanager
def leading(group: Group, context: Context) -> Iterator[Context | None]:
    """The same, of processes that are connected already."""
    if group.leads:
        with _told_when_over(group, {"do": _LEAVE}):
            yield replace(context, group=group)
    else:
        while (heard := group.hear()).message["do"] != _LEAVE:
            _follow(group, context, heard.message)
        yield None


@contextmanager
def led(
    group: Group | None,
    description: Description,
    setting: Setting,
    states: Sequence[State],
    thread_count: int,
) -> Iterator[None]:
    """Within it the others take part in the training of a run.

    Args:
        group: The processes; nothing is told where there is none.
        description: Of the run.
        setting: Its recipe and replicate.
        states: What it begins from, and its companions.
        thread_count: With how many threads each process computes.
    """
    if group is None:
        yield
        return
    from training.parallel import END, give

    told = {
        "do": _RUN,
        "description": description.to_json_dict(),
        "recipe": setting.recipe.to_json_dict(),
        "replicate": setting.replicate,
        "threads": thread_count,
        "states": len(states),
    }
    group.tell(told)
    for state in states:
        give(group, state)
    with _told_when_over(group, {"do": END}):
        yield


def in_training(
    description: Description, start: State, *companions: State, setting: Setting
) -> Setting:
    """The setting with what a branch has to say of training: the loss, and changes on the way.

    Args:
        description: Of the run.
        start: What it begins from.
        companions: What its branch needs all through training.
        setting: Its recipe.
    """
    if not isinstance(description, BranchDesc):
        return setting
    branch, parent = branch_of(description), description.parent
    course = branch.course(parent, start, companions, setting)
    return replace(setting, objective=branch.objective(parent, companions, setting), course=course)


def _follow(group: Group, context: Context, told: dict[str, Json]) -> None:
    """Take part in a run."""
    from training import numerics
    from training.description import TrainDesc
    from training.following import follow
    from training.parallel import received
    from training.setting import Setting

    start, *companions = (received(group.hear()) for _ in range(told["states"]))
    description, recipe = decode(told["description"], KINDS), decode(told["recipe"], KINDS)
    if not isinstance(recipe, TrainDesc):
        raise TypeError(f"{type(recipe).__name__} is no recipe")
    setting = replace(Setting.on(context.platform, recipe, told["replicate"]), group=group)
    with numerics.applied(recipe.training.numerics, told["threads"]):
        setting = in_training(description, start, *companions, setting=setting)
        follow(group, setting, context.stop)


@contextmanager
def _told_when_over(group: Group, message: dict[str, Json]) -> Iterator[None]:
    """Tell the others at its end, and when an error ends it that does not end the process."""
    try:
        yield
    except RankLostError:
        raise
    except OpenPruneError:
        group.end(message)
        raise
    group.end(message)


def _end_with_launcher() -> None:
    """Stop politely when who started these processes is gone, and cannot ask any more.

    Who waits in gloo for one that is gone does not hear that: it ends at last.
    """
    launcher = os.environ.get(LAUNCHER)
    if launcher is None:
        return

    def watch() -> None:
        while os.getppid() == int(launcher):
            time.sleep(_LOOK_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LEAVE_S)
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, name="watch over the launcher", daemon=True).start()
