"""How runs are carried out by a platform's crew, what is said meanwhile, and how it ended."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from commands.progress import Bar, Lines
from commands.results import end_metric
from commands.screen import Screen
from commands.text import brief, percent
from foundations import plugins
from foundations.errors import InterruptedRunError, OpenPruneError, RunFailedError
from foundations.hparams import flag_of
from platforms.crew import Outcome
from platforms.stop import graceful_stop
from sweeps import schedule
from sweeps.goals import goals
from sweeps.standing import Unobserved
from sweeps.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from branches.run import Job
    from foundations.store import Store
    from platforms.crew import Crew
    from sweeps.goals import Goal
    from sweeps.standing import Blocked, Failure, Observer, Standing
    from training.context import Context, Reporter
    from training.hparams import RunOptions

_REDRAWN_S = 1.0
_SHARE = 20.0
"""How much longer it is not drawn than drawing takes: the cores are for training."""
_NAMED = 10
"""How many runs that came to the same are named in the end."""


def flags_of(options: RunOptions) -> list[str]:
    """What every run is told besides: options and plugins. Which states, each is told by itself."""
    given = [flag_of("plugin", str(plugin.path)) for plugin in plugins.loaded()]
    return [*replace(options, weight_save_steps=()).flags(), *given]


def by_crew(jobs: Sequence[Job], crew: Crew, context: Context, *, again: bool) -> Standing:
    """Have a crew carry out these jobs and what they need; everybody is let go at the end.

    Args:
        jobs: The runs that are asked for.
        crew: Who does it.
        context: Where and how; the reporter is told which runs begin and end.
        again: Try those again that failed before.
    """
    store = context.store
    wanted = goals(jobs, context.options.weight_save_steps, store)
    context.platform.writable_root()
    with graceful_stop() as stop, _observer(context.reporter, wanted, store) as observer:
        try:
            return schedule.carry_out(
                wanted, crew, store, again=again, stop=stop, observer=observer
            )
        finally:
            crew.close()


def raise_for(standing: Standing, store: Store) -> None:
    """Raise what says that not all is done, and what to do.

    Raises:
        InterruptedRunError: It was stopped; the same command continues.
        RunFailedError: Some runs failed: why, and where more is told.
    """
    lines = [*_failures(standing, store)]
    if standing.stopped is not None:
        left = [*standing.waiting, *standing.working, *standing.elsewhere]
        if standing.working:
            lines.append(f"{_runs(standing.working)} with the cluster, which goes on.")
        lines.append(
            f"Stopped by {standing.stopped}: {_runs(left)} not done. Run the same command again "
            "to continue."
        )
        raise InterruptedRunError("\n".join(lines))
    if lines:
        raise RunFailedError("\n".join(lines))


def _failures(standing: Standing, store: Store) -> Iterator[str]:
    """What failed, with each reason once and where to look; and what could not begin for it."""
    alike: dict[str, list[Failure]] = {}
    for failure in standing.failed:
        alike.setdefault(failure.reason, []).append(failure)
    for reason, failures in alike.items():
        yield f"{_names(failures)} failed: {reason}"
        yield f"  {_look(failures[0], store)}"
    if standing.blocked:
        names = _names(standing.blocked)
        yield f"{_runs(standing.blocked)} not begun, for what failed is needed: {names}."
    if standing.failed:
        yield "Runs that failed are tried again by 'sweep' with --retry, and by their own commands."


def _names(which: Sequence[Failure | Blocked]) -> str:
    """The runs by name; of very many, the first ones and how many there are besides."""
    names = [one.goal.run for one in which[:_NAMED]]
    return ", ".join(names) + (f" and {more:,} more" if (more := len(which) - _NAMED) > 0 else "")


def _look(failure: Failure, store: Store) -> str:
    """How to see why a run failed."""
    shown = f"See 'open_prune.py show {failure.goal.run}'"
    there = (store.root / failure.goal.run).is_dir() and failure.log.exists()
    return f"{shown} and {failure.log}." if there else f"{shown}."


def _runs(which: Sequence[object]) -> str:
    return f"{len(which)} run is" if len(which) == 1 else f"{len(which)} runs are"


@contextmanager
def _observer(reporter: Reporter, wanted: Sequence[Goal], store: Store) -> Iterator[Observer]:
    """Who looks on: a screen on a terminal, elsewhere a line a run; nobody with --quiet."""
    if isinstance(reporter, Lines):
        yield Told(reporter, len(wanted), store)
    elif isinstance(reporter, Bar):
        with Screen() as screen:
            shown = Shown(screen, wanted, store)
            yield shown
            shown.draw()
    else:
        yield Unobserved()


class Shown(Unobserved):
    """Draws where all runs stand, about once a second.

    Args:
        screen: Where.
        wanted: The runs of the sweep.
        store: Where they are.
    """

    def __init__(self, screen: Screen, wanted: Sequence[Goal], store: Store) -> None:
        self._screen, self._wanted, self._store = screen, wanted, store
        self._next = 0.0

    def look(self, standing: Standing) -> None:  # noqa: ARG002 - the directories tell more
        """Draw, if that is due: not more often than the cores can well spare."""
        if (now := time.monotonic()) < self._next:
            return
        self.draw()
        self._next = time.monotonic() + max(_REDRAWN_S, _SHARE * (time.monotonic() - now))

    def draw(self) -> None:
        """Look at the runs and draw."""
        self._screen.show(survey(self._wanted, self._store))


class Told(Unobserved):
    """Tells of each run that begins and that ends, a line each.

    Args:
        reporter: Who is told.
        count: How many runs the sweep has.
        store: Where they are.
    """

    def __init__(self, reporter: Reporter, count: int, store: Store) -> None:
        self._reporter, self._count, self._store = reporter, count, store
        self._done: int | None = None

    def begun(self, goal: Goal) -> None:
        """Its name, and how far it is to go."""
        steps = ", ".join(map(str, goal.steps))
        self._reporter.say(f"begun   {goal.run}{'' if goal.whole else f' to {steps}'}")

    def ended(self, goal: Goal, outcome: Outcome, reason: str) -> None:
        """How, why, and what came out; of what is done, the how many-th it is."""
        what = brief(reason) or self._result(goal)
        said = f"{outcome.value:7} {goal.run}{f': {what}' if what else ''}"
        if outcome is Outcome.DONE:
            self._done = (self._done or 0) + 1
            said += f" [{self._done} of {self._count}]"
        self._reporter.say(said)

    def look(self, standing: Standing) -> None:
        """At first, how many are done already."""
        if self._done is None:
            runs = "1 run" if self._count == 1 else f"{self._count} runs"
            self._reporter.say(f"{runs}, {len(standing.done)} of them done already.")
        self._done = len(standing.done)

    def _result(self, goal: Goal) -> str:
        try:
            directory = self._store.run(goal.description, goal.replicate)
            accuracy = end_metric(directory, "test accuracy")
        except OpenPruneError as error:
            return str(error)
        return "" if accuracy is None else f"test accuracy {percent(accuracy)}"
