"""How much memory a forward pass takes at most.

On a GPU: what PyTorch's allocator has given out, workspaces of kernels included. Elsewhere there is
no such count, and it is that of tensors: the storages that operations return, each from the
operation that returns it until nothing holds it any more. What a kernel takes and gives back by
itself is not in it. That count is exact and depends on neither machine nor threads.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import UntypedStorage, nn


class Memory(TypedDict):
    """Of one forward pass, in bytes."""

    stored: int
    """Parameters and buffers."""
    images: int
    """The batch."""
    passing: int
    """The most that the pass needs at once beside these: activations, and the logits."""
    peak: int
    """All of these together."""


def peak_memory(network: nn.Module, images: Tensor, call: Callable[[], object]) -> Memory:
    """Measure one forward pass without gradients.

    Args:
        network: What is called.
        images: The batch, on the device of the network.
        call: Runs the network on the batch.
    """
    held = _storages([*network.parameters(), *network.buffers()])
    batch = images.untyped_storage().nbytes()
    with torch.no_grad():
        if images.device.type == "cuda":
            passing = _allocated(images.device, call)
        else:
            passing = _in_tensors(call, {*held, _key(images.untyped_storage())})
    stored = sum(held.values())
    peak = stored + batch + passing
    return {"stored": stored, "images": batch, "passing": passing, "peak": peak}


def _allocated(device: torch.device, call: Callable[[], object]) -> int:
    """Beside what is allocated already, whoever it belongs to."""
    call()  # libraries take their workspaces once
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device) - before)


def _in_tensors(call: Callable[[], object], known: set[int]) -> int:
    watch = _Watch(known)
    with watch:
        call()
    return watch.peak


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call] # of torch
    """Adds up the storages that operations return, while they live."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # of torch
        self.peak = self._now = 0
        self._known = known

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's own
        args: Any = (),  # noqa: ANN401 - torch's own
        kwargs: Any = None,  # noqa: ANN401 - torch's own
    ) -> Any:  # noqa: ANN401 - whatever the operation gives
        """The operation, as it is."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._see(leaf.untyped_storage())
        self.peak = max(self.peak, self._now)
        return result

    def _see(self, storage: UntypedStorage) -> None:
        key = _key(storage)
        if key not in self._known:
            self._known.add(key)
            self._now += storage.nbytes()
            weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size


def _storages(tensors: list[Tensor]) -> dict[int, int]:
    """The bytes of each storage, once."""
    found = (tensor.untyped_storage() for tensor in tensors)
    return {_key(storage): storage.nbytes() for storage in found}


def _key(storage: UntypedStorage) -> int:
    return int(storage._cdata)  # noqa: SLF001 - what tells storages apart where both have no bytes
