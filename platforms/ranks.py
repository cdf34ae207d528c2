"""How the processes that train a run together find each other, and exchange what they have.

``torchrun`` starts them, or ``platforms.launching``; either says in the environment who is who. The
first of them, rank 0, leads: it tells the others what comes next, and they take part. Exchanged are
JSON, and tensors as the bytes of safetensors or as what they are: no pickle, which is how PyTorch
would send objects. On CPUs all goes through gloo; on GPUs what a step exchanges goes through NCCL,
and gloo keeps what is told. A process that is gone breaks its connections, so that the others end
too; there is nothing left to wait for, which is why waiting itself has no limit: a parent that
trains elsewhere, or a pruning, may take hours.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from foundations.errors import InterruptedRunError, UserError
from platforms.meeting import meet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from torch import Tensor

    from foundations.hparams import Json
    from foundations.tensors import TensorFile
    from platforms.stop import Stop

_NO_LIMIT = timedelta(days=365)
_PLACE_IN_SOURCE = re.compile(r"^\[\S*\] ")
"""Where in gloo an error arose, with which its message begins."""


class RankLostError(InterruptedRunError):
    """A process that trained along is gone; the run continues from its last checkpoint."""


@dataclass(frozen=True)
class Place:
    """Who this process is among those that train together.

    Args:
        rank: From 0, over all machines.
        size: How many there are.
        local_rank: From 0, on this machine.
        local_size: How many there are on it.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int


def place() -> Place | None:
    """The place that the environment gives this process; None where it is alone."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    found = [os.environ.get(name, "") for name in names]
    if not all(text.isdecimal() for text in found) or int(found[1]) == 1:
        return None
    return Place(*map(int, found))


def rank() -> int:
    """Which of the processes that train a run together this is; 0 where it does so alone."""
    here = place()
    return 0 if here is None else here.rank


def check_device(device: torch.device) -> None:
    """Refuse a device between which and others nothing can be exchanged.

    Raises:
        UserError: Names those that can be used.
    """
    if device.type not in {"cpu", "cuda"}:
        raise UserError(
            f"--device={device.type}: several processes can train together on CPUs (gloo) and "
            "on NVIDIA's GPUs (NCCL). Use --device=cpu."
        )


class Heard(NamedTuple):
    """What the leader told."""

    message: dict[str, Json]
    file: TensorFile


class Group:
    """The processes that train together, connected; to be closed.

    Args:
        place: Who this one is.
        device: What it computes on.
        stop: When it is asked to stop, the others are not waited for any longer.

    Raises:
        UserError: Processes cannot share work on such devices.
        InterruptedRunError: It was asked to stop before all were there.
        RankLostError: One of them is gone.
    """

    def __init__(self, place: Place, device: torch.device, stop: Stop | None = None) -> None:
        import torch
        from torch import distributed
        from torch.distributed.rendezvous import rendezvous

        check_device(device)
        self.rank, self.size, self.device = place.rank, place.size, device
        self._distributed, self._engaged = distributed, False
        with _exchange():
            store, rank, size = next(
                rendezvous("env://", place.rank, place.size, timeout=_NO_LIMIT)
            )
            place_of_all = meet(place, store, stop)
            distributed.init_process_group(
                "gloo", store=place_of_all, rank=rank, world_size=size, timeout=_NO_LIMIT
            )
        self._data: Any = None  # the same as for what is told
        if device.type == "cuda":
            torch.cuda.set_device(device)
            self._data = distributed.new_group(backend="nccl")

    def close(self) -> None:
        """Leave; of those who are gone already nothing is asked."""
        self._distributed.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this process is the first."""
        return self.rank == 0

    @contextmanager
    def engaged(self, message: dict[str, Json]) -> Iterator[None]:
        """Within it all processes do something together, which the first tells the others to do.

        After an error within nobody knows where the others are: nothing can be told any more.
        """
        if self.leads:
            self.tell(message)
        self._engaged = True
        yield
        self._engaged = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within it, and within ``engaged``, the others wait for what the first tells."""
        self._engaged = False
        yield
        self._engaged = True

    def end(self, message: dict[str, Json]) -> None:
        """Tell the others that something is over, if they listen and are not gone."""
        if not self._engaged:
            with suppress(RankLostError):
                self.tell(message)

    def tell(self, message: dict[str, Json], file: TensorFile | None = None) -> None:
        """Tell the others, by the first alone.

        Raises:
            RankLostError: One of them is gone.
        """
        from foundations.tensors import to_bytes

        text = json.dumps(message).encode()
        data = b"" if file is None else to_bytes(file.tensors, file.metadata)
        self._broadcast(_tensor_of(len(text).to_bytes(8) + len(data).to_bytes(8)))
        self._broadcast(_tensor_of(text + data))

    def hear(self) -> Heard:
        """What the first tells next; the others wait for it.

        Raises:
            RankLostError: It is gone.
        """
        import torch

        from foundations.tensors import TensorFile, from_bytes

        lengths = bytes(self._broadcast(torch.empty(16, dtype=torch.uint8)).tolist())
        text, data = int.from_bytes(lengths[:8]), int.from_bytes(lengths[8:])
        whole = self._broadcast(torch.empty(text + data, dtype=torch.uint8)).numpy().tobytes()
        file = from_bytes(whole[text:]) if data else TensorFile({})
        return Heard(json.loads(whole[:text]), file)

    def add_up(self, values: Sequence[Tensor], *, asks: bool = False) -> tuple[list[Tensor], bool]:
        """The sums over all processes, in one exchange, and whether any of them asks for something.

        Args:
            values: On the device, of one dtype, not empty; the sums have their strides, in memory
                of their own, and are the same bytes in every process.
            asks: Whether this one asks.
        """
        import torch

        count = sum(value.numel() for value in values)
        flat = values[0].new_empty(count + 1)
        sums, begin = [], 0
        for value in values:
            strides = torch.empty_like(value, device="meta").stride()  # dense, as far as they are
            sums.append(flat.as_strided(value.shape, strides, begin))
            begin += value.numel()
        torch._foreach_copy_(sums, list(values))
        flat[-1] = asks
        self.added(flat)
        if self.device.type == "cpu":
            return sums, bool(flat[-1] > 0)
        # Reading it from a GPU would wait for all that is queued there.
        return sums, self._any(asks=asks)

    def added(self, values: Tensor) -> Tensor:
        """The sum over all processes, in the place of the values."""
        with _exchange():
            self._distributed.all_reduce(values, group=self._data)
        return values

    def gathered(self, values: Tensor) -> Tensor:
        """Of every process the same number of values, (n,) each, as (size, n)."""
        rows = values.new_empty(self.size * len(values))
        with _exchange():
            self._distributed.all_gather_into_tensor(rows, values, group=self._data)
        return rows.view(self.size, -1)

    def joined(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """The rows of all processes, in their order.

        Args:
            rows: (counts[rank], width): those of this one.
            counts: How many each has.
        """
        import torch

        most = max(counts)
        padded = rows.new_zeros(most, rows.shape[1])
        padded[: len(rows)] = rows
        found = self.gathered(padded.reshape(-1)).view(self.size, most, -1)
        return torch.cat([part[:count] for part, count in zip(found, counts, strict=True)])

    def _any(self, *, asks: bool) -> bool:
        import torch

        flag = torch.tensor(float(asks))
        with _exchange():
            self._distributed.all_reduce(flag)
        return bool(flag > 0)

    def _broadcast(self, values: Tensor) -> Tensor:
        """Of the first, to all; on the CPU."""
        with _exchange():
            self._distributed.broadcast(values, 0)
        return values


def _tensor_of(data: bytes) -> Tensor:
    import torch

    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


@contextmanager
def _exchange() -> Iterator[None]:
    """Within it, an error of the connection says what it means."""
    try:
        yield
    except RuntimeError as error:  # as gloo and NCCL tell it
        why = _PLACE_IN_SOURCE.sub("", str(error).splitlines()[0]).partition(". ")[0]
        raise RankLostError(
            f"A process that trained along is gone ({why}). The same command continues from the "
            "last checkpoint."
        ) from error
