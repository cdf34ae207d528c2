"""Processes find those that were started with them, whoever was there before, or came and went."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from torch._C._distributed_c10d import HashStore

from foundations.errors import InterruptedRunError
from platforms.meeting import meet
from platforms.ranks import Place
from platforms.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.distributed.distributed_c10d import Store

_LONG_S = 60.0


class Processes:
    """Threads that stand for processes, and the store that all of them have."""

    def __init__(self, pool: ThreadPoolExecutor, size: int) -> None:
        self.store, self.size, self._pool = HashStore(), size, pool
        self._stops: list[Stop] = []

    def come(self, rank: int) -> tuple[Future[Store], Stop]:
        """One that looks for the others."""
        stop = Stop()
        self._stops.append(stop)
        place = Place(rank, self.size, rank, self.size)
        return self._pool.submit(meet, place, self.store, stop), stop

    def come_and_go(self, rank: int, *, until: int) -> None:
        """One that looks for them in vain, until so much stands in the store."""
        found, stop = self.come(rank)
        while self.store.num_keys() < until:
            time.sleep(0.01)
        assert not found.done()
        stop.requested = "SIGTERM"
        assert isinstance(found.exception(_LONG_S), InterruptedRunError)

    def end(self) -> None:
        """Nobody waits any longer."""
        for stop in self._stops:
            stop.requested = "SIGTERM"


@contextmanager
def world(size: int) -> Iterator[Processes]:
    """At its end nobody waits any longer."""
    with ThreadPoolExecutor(2 * size) as pool:
        made = Processes(pool, size)
        try:
            yield made
        finally:
            made.end()


@pytest.fixture
def three() -> Iterator[Processes]:
    """A world of three."""
    with world(3) as made:
        yield made


def are_together(*found: Future[Store]) -> bool:
    """Whether all have one place, in which there is nothing but what they put there."""
    stores = [each.result(_LONG_S) for each in found]
    for at, store in enumerate(stores):
        assert not store.check(["address"])
        store.set(f"address/{at}", str(at))
    return all(store.check([f"address/{at}"]) for store in stores for at in range(len(stores)))


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("leader", ["first", "last"])
def test_each_attempt_has_a_place_of_its_own(size: int, leader: str) -> None:
    """Though all are in one store, in which the names of those before still stand."""
    with world(size) as processes:
        for _ in range(3):
            found = []
            for rank in range(size)[:: 1 if leader == "first" else -1]:
                found.append(processes.come(rank)[0])
                time.sleep(0.02)
            assert are_together(*found)


def test_who_comes_twice_is_one(three: Processes) -> None:
    """The third is waited for, though two of those that were asked for have come."""
    leader, _ = three.come(0)
    three.come_and_go(1, until=3)  # asks, is told of a place, is there
    again, _ = three.come(1)
    with pytest.raises(TimeoutError):
        leader.result(0.5)
    assert not again.done()
    last, _ = three.come(2)
    assert are_together(leader, again, last)


def test_a_leader_that_is_gone_is_not_followed(three: Processes) -> None:
    """Those whom it had told of its place hear of that of the next."""
    waiting, _ = three.come(1)
    three.come_and_go(0, until=3)
    leader, _ = three.come(0)
    last, _ = three.come(2)
    assert are_together(waiting, leader, last)


@pytest.mark.parametrize("rank", [0, 1])
def test_who_is_asked_to_stop_waits_for_nobody(three: Processes, rank: int) -> None:
    """And says that it is no failure."""
    found, stop = three.come(rank)
    stop.requested = "SIGINT"
    with pytest.raises(InterruptedRunError, match=r"Stopped by SIGINT while waiting"):
        found.result(_LONG_S)


def test_what_others_keep_in_the_store_is_left_alone(three: Processes) -> None:
    """All that is written has a beginning of its own."""
    names = [f"{word}/{rank}" for word in ("asks", "told") for rank in range(3)]
    for name in names:
        three.store.set(name, "mine")
    found = [three.come(rank)[0] for rank in range(3)]
    assert are_together(*found)
    assert {three.store.get(name) for name in names} == {b"mine"}
