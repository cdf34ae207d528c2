"""What it will cost to do what is missing, judged by the runs that were timed already."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from branches.base import begins, recipe_in, start_decides_training
from foundations.errors import OpenPruneError
from foundations.run_directory import Fact
from sweeps.goals import is_met, needs
from sweeps.survey import end_of, reached
from training.provenance import sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from foundations.steps import Step
    from foundations.store import Store
    from sweeps.goals import Goal

Pace = tuple[str, str, int, str]
"""What decides how fast a run trains: network, data set, batch size, numerics."""


class Timed(NamedTuple):
    """A run that was timed."""

    seen: str
    """When it was last worked on, as ISO 8601 in UTC."""
    place: str
    """On what: device and threads."""
    seconds: float
    """An iteration."""


@dataclass(frozen=True)
class Timings:
    """What is known of time from runs that have begun.

    Args:
        runs: Those that were timed, by what decides how fast they are.
        per_epoch: Iterations an epoch, by the hyperparameters of the data set as JSON.
    """

    runs: dict[Pace, list[Timed]] = field(default_factory=dict)
    per_epoch: dict[str, int] = field(default_factory=dict)

    def seconds(self, pace: Pace) -> float | None:
        """The median of the seconds an iteration, where such runs were timed last."""
        found = self.runs.get(pace, [])
        place = max(found).place if found else None
        return median(run.seconds for run in found if run.place == place) if found else None


@dataclass(frozen=True)
class Cost:
    """What is still to be trained.

    Args:
        seconds: Of one worker, as far as they can be told.
        known: How many runs that is.
        unknown: How many runs nothing comparable was timed of.
        longest: Seconds of the runs, of those that are known, that no number of workers saves: each
            waits for a state of the one before.
    """

    seconds: float = 0.0
    known: int = 0
    unknown: int = 0
    longest: float = 0.0

    def shared_by(self, workers: int | None) -> float:
        """Seconds until all is done, if so many workers (None: any number) are never idle."""
        return self.longest if workers is None else max(self.longest, self.seconds / workers)


def timings(runs: Iterable[RunDirectory]) -> Timings:
    """What the starts and the records of these runs tell; one that is damaged tells nothing."""
    found, per_epoch = defaultdict(list), {}
    for run in runs:
        try:
            start = run.start()
            recipe = (start or {}).get("recipe")
            if start is None or recipe is None:
                continue
            per_epoch[_data(recipe["dataset"])] = int(start["iterations_per_epoch"])
            if (timed := _timed(run)) is not None:
                found[_pace(recipe)].append(timed)
        except (OpenPruneError, KeyError, TypeError):
            continue
    return Timings(dict(found), per_epoch)


def cost(goals: Sequence[Goal], store: Store) -> Cost:
    """What the goals cost that are not met.

    Args:
        goals: What is wanted of which runs, each run once.
        store: The runs there are, those that were timed among them.
    """
    missing = [goal for goal in goals if not _is_met(goal, store)]
    known = timings(store.runs()) if missing else Timings()
    found = [_seconds(goal, store, known) for goal in missing]
    told = [seconds for seconds in found if seconds is not None]
    longest = _longest(missing, found, store, known)
    return Cost(sum(told), len(told), len(found) - len(told), longest)


def _longest(
    goals: Sequence[Goal], seconds: Sequence[float | None], store: Store, known: Timings
) -> float:
    """When the last of these is done if each begins as soon as the states it needs are there."""
    begins_at: dict[str, float] = {}
    until: dict[tuple[str, tuple[Step, ...], bool], float] = {}
    longest = 0.0
    for goal, own in zip(goals, seconds, strict=True):
        begins_at[goal.run] = 0.0
        for need in _needs(goal, store):
            key = need.run, need.steps, need.whole
            if key not in until:
                left = 0.0 if _is_met(need, store) else _seconds(need, store, known) or 0.0
                until[key] = begins_at.get(need.run, 0.0) + left
            begins_at[goal.run] = max(begins_at[goal.run], until[key])
        longest = max(longest, begins_at[goal.run] + (own or 0.0))
    return longest


def _is_met(goal: Goal, store: Store) -> bool:
    """As far as that can be read: of a damaged run, others tell."""
    with suppress(OpenPruneError):
        return is_met(goal, store)
    return False


def _needs(goal: Goal, store: Store) -> list[Goal]:
    with suppress(OpenPruneError):
        return list(needs(goal, store))
    return []


def _seconds(goal: Goal, store: Store, known: Timings) -> float | None:
    with suppress(OpenPruneError):
        return seconds_of(goal, store, known)
    return None


def seconds_of(goal: Goal, store: Store, known: Timings) -> float | None:
    """What is left of one goal, in seconds of one worker; None where nothing tells.

    That is the iterations that are left, times the median of the seconds an iteration of the runs
    of the same network, data set, batch size and numerics, where such runs were timed last: on the
    same device, with as many threads. Without any, the run itself is what tells.
    """
    directory = store.run(goal.description, goal.replicate)
    recipe = recipe_in(directory, goal.description).to_json_dict()
    iterations = _iterations_left(goal, directory, known)
    seconds = known.seconds(_pace(recipe))
    if seconds is None and (own := _timed(directory)) is not None:
        seconds = own.seconds
    return None if iterations is None or seconds is None else iterations * seconds


def _iterations_left(goal: Goal, directory: RunDirectory, known: Timings) -> int | None:
    """Until a run has what is wanted; what is to be made again counts from its beginning."""
    end = end_of(directory, goal)
    if end is not None:
        begin = directory.fact(Fact.START)["iteration"]
        at = reached(directory)
        return end - at if at < end else end - int(begin)
    if start_decides_training(goal.description):
        return None
    recipe = recipe_in(directory, goal.description)
    per_epoch = known.per_epoch.get(_data(recipe.dataset.to_dict()))
    if per_epoch is None:
        return None
    steps = [*goal.steps, *([recipe.training.training_steps] if goal.whole else [])]
    first = begins(goal.description).iterations(per_epoch)
    return max(0, max((step.iterations(per_epoch) for step in steps), default=0) - first)


def _timed(run: RunDirectory) -> Timed | None:
    """Over all sessions that got anywhere; None where none did."""
    timed = [session for session in sessions(run) if session.get("iterations")]
    if not timed:
        return None
    made, seen = timed[-1]["fingerprint"], str(timed[-1].get("seen"))
    iterations = sum(session["iterations"] for session in timed)
    seconds = sum(session["seconds"] for session in timed) / iterations
    return Timed(seen, f"{made.get('device_model')}, {made['threads']} threads", seconds)


def _pace(recipe: Json) -> Pace:
    dataset = recipe["dataset"]
    numerics = recipe["training"]["numerics"]
    return recipe["model"]["model_name"], dataset["dataset_name"], dataset["batch_size"], numerics


def _data(dataset: Json) -> str:
    """All that may decide how many iterations an epoch has."""
    return json.dumps(dataset, sort_keys=True)
