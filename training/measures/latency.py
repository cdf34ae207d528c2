"""How long calls take, side by side: medians and quartiles of rounds in which each has a turn.

What else the machine does slows all of them alike where they take turns, so ratios hold where
times do not. The first is called before the others in one round and after them in another.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LEAST = 3
"""Rounds, whatever they take: of fewer, quartiles say nothing."""


class Spread(TypedDict):
    """Of the times of one call, in seconds."""

    median: float
    lower_quartile: float
    upper_quartile: float


class Latencies(TypedDict):
    """Of calls that took turns."""

    rounds: int
    """How many turns each had."""
    seconds: dict[str, Spread]
    """By name."""
    speedup: dict[str, float]
    """How many times faster than the first the others are: the median of the ratios of rounds."""


def latencies(
    calls: Mapping[str, Callable[[], object]],
    *,
    warmup: int,
    repeats: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Latencies:
    """Time calls that take turns.

    Args:
        calls: By name; each returns when its work is done.
        warmup: Rounds that are not counted, before all others.
        repeats: Rounds that are, at least ``LEAST``.
        seconds: No round is begun when they have passed since the warm-up, from ``LEAST`` on.
        clock: Seconds since any moment.
    """
    for _ in range(warmup):
        for call in calls.values():
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    begun, done = clock(), 0
    while done < max(LEAST, repeats) and (done < LEAST or clock() - begun < seconds):
        for name in _turned(list(calls), done):
            before = clock()
            calls[name]()
            times[name].append(clock() - before)
        done += 1
    first, *others = calls
    return {
        "rounds": done,
        "seconds": {name: _spread(values) for name, values in times.items()},
        "speedup": {name: _ratio(times[first], times[name]) for name in others},
    }


def _turned(names: list[str], by: int) -> list[str]:
    """Another one is the first in each round."""
    start = by % len(names)
    return names[start:] + names[:start]


def _spread(values: Sequence[float]) -> Spread:
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "lower_quartile": lower, "upper_quartile": upper}


def _ratio(base: Sequence[float], values: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(base, values, strict=True))
