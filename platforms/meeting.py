"""How processes that train together find those that were started with them, and no others.

torchrun keeps one store for all its attempts (PyTorch 2.15), with the addresses of processes that
are gone: who looks there before a process has put in its new one waits for ever. How often torchrun
has restarted does not tell attempts apart, for its agents on several machines count on their own.

So each process asks the first under a name that nobody had before, and is told of a place in the
store that nobody has used. A process that is gone by then has left a name that nobody answers to;
one that began again asks under another. Only when all answer to the name under which they ask does
the first declare the place complete. Who goes between that and the first exchange is waited for
until whoever started the processes ends them, as torchrun and ``platforms.launching`` do.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

from foundations.errors import InterruptedRunError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

    from platforms.ranks import Place
    from platforms.stop import Stop

_PREFIX = "open_prune"
_LOOK_S = 0.05
"""How often each looks whether something has changed."""


def meet(place: Place, store: Store, stop: Stop | None = None) -> Store:
    """Wait for the others.

    Args:
        place: Who this process is.
        store: What all of them have, and others may have had before.
        stop: When it is asked to stop, nobody is waited for any longer.

    Returns:
        A part of the store in which there is nothing yet.

    Raises:
        InterruptedRunError: It was asked to stop.
    """
    from torch.distributed.distributed_c10d import PrefixStore

    ours = PrefixStore(_PREFIX, store)
    found = _gather(ours, place.size, stop) if place.rank == 0 else _join(ours, place.rank, stop)
    return PrefixStore(f"{_PREFIX}/{found}", store)


def _gather(store: Store, size: int, stop: Stop | None) -> str:
    """Tell all others of a place, until they are there."""
    found, told = uuid4().hex, {""}
    while True:
        _check(stop)
        asking = [_read(store, f"asks/{rank}") for rank in range(1, size)]
        for name in asking:
            if name not in told:
                told.add(name)
                store.set(f"told/{name}", found)
        here = [_read(store, f"{found}/{rank}") for rank in range(1, size)]
        if here == asking and "" not in here:
            store.set(f"{found}/all", found)
            return found
        time.sleep(_LOOK_S)


def _join(store: Store, rank: int, stop: Stop | None) -> str:
    """Ask where the others meet, and be there until they are."""
    name, found = uuid4().hex, ""
    store.set(f"asks/{rank}", name)
    while not (found and _read(store, f"{found}/all")):
        _check(stop)
        now = _read(store, f"told/{name}")
        if now != found:  # a first one that is gone may have told of another place
            found = now
            store.set(f"{found}/{rank}", name)
        time.sleep(_LOOK_S)
    return found


def _read(store: Store, key: str) -> str:
    """What stands there; nothing is waited for."""
    return store.get(key).decode() if store.check([key]) else ""


def _check(stop: Stop | None) -> None:
    if stop is not None and stop.requested is not None:
        raise InterruptedRunError(
            f"Stopped by {stop.requested} while waiting for the processes to train with."
        )
