"""Calls take turns, and what their times come to is exact: the clock here is not a real one."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from training.measures.latency import LEAST, Latencies, latencies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class _Machine:
    """A clock that stands still but for calls, each of which takes what it is told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.turns: list[str] = []

    def call(self, name: str, costs: Iterator[float]) -> Callable[[], None]:
        def run() -> None:
            self.turns.append(name)
            self.now += next(costs)

        return run

    def clock(self) -> float:
        return self.now


def _measured(
    machine: _Machine,
    costs: Mapping[str, Iterator[float]],
    *,
    warmup: int = 0,
    repeats: int = 4,
    seconds: float = 1e9,
) -> Latencies:
    calls = {name: machine.call(name, each) for name, each in costs.items()}
    return latencies(calls, warmup=warmup, repeats=repeats, seconds=seconds, clock=machine.clock)


def test_medians_quartiles_and_ratios() -> None:
    """Of four rounds; ratios are taken within a round, then their median."""
    costs = {"dense": iter([1.0, 2.0, 3.0, 10.0]), "small": iter([0.5, 0.5, 1.0, 1.0])}
    found = _measured(_Machine(), costs)
    assert found["rounds"] == 4
    dense = {"median": 2.5, "lower_quartile": 1.75, "upper_quartile": 4.75}
    assert found["seconds"]["dense"] == pytest.approx(dense)
    assert found["seconds"]["small"]["median"] == pytest.approx(0.75)
    assert found["speedup"] == {"small": pytest.approx(3.5)}  # of 2, 4, 3 and 10


def test_warm_up_is_not_counted() -> None:
    """However slow it is."""
    costs = {"one": itertools.chain([50.0, 50.0], itertools.repeat(1.0))}
    found = _measured(_Machine(), costs, warmup=2)
    assert found["seconds"]["one"] == {"median": 1, "lower_quartile": 1, "upper_quartile": 1}
    assert found["speedup"] == {}


def test_another_is_first_in_every_round() -> None:
    """So that what the one before leaves behind helps or harms each alike."""
    machine = _Machine()
    _measured(machine, {name: itertools.repeat(1.0) for name in "abc"}, repeats=4)
    assert "".join(machine.turns) == "abcbcacababc"


@pytest.mark.parametrize(
    ("seconds", "repeats", "rounds"), [(7.9, 30, 4), (8.1, 30, 5), (0.1, 30, LEAST), (1e9, 6, 6)]
)
def test_it_ends_in_time(seconds: float, repeats: int, rounds: int) -> None:
    """A round of 2 seconds is begun while there is time; a few there always are."""
    costs = {"a": itertools.repeat(1.5), "b": itertools.repeat(0.5)}
    found = _measured(_Machine(), costs, repeats=repeats, seconds=seconds)
    assert found["rounds"] == rounds
