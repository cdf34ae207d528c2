"""What it takes to run a network on this machine: time and memory, of each of its variants."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import torch

from platforms.fingerprint import fingerprint
from training.measures.latency import Latencies, latencies
from training.measures.memory import Memory, peak_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training.measures.variants import Variants


class Effort(NamedTuple):
    """How long to measure for each batch size and number of threads."""

    warmup: int
    """Rounds before those that count."""
    repeats: int
    """Rounds that count, at most."""
    seconds: float
    """No round is begun later, but for the few that quartiles need."""


class Timed(Latencies):
    """With one batch size and one number of threads."""

    batch: int
    threads: int


class Latency(TypedDict):
    """The time of a forward pass, on images that are on the device already."""

    unit: str
    device: str
    results: list[Timed]


class Held(TypedDict):
    """With one batch size."""

    batch: int
    variants: dict[str, Memory]


class PeakMemory(TypedDict):
    """The memory of a forward pass."""

    unit: str
    counted: str
    """``allocator``: what it gave out; ``tensors``: those alive (``training.measures.memory``)."""
    results: list[Held]


def latency(
    variants: Variants, batches: Sequence[int], threads: Sequence[int], effort: Effort
) -> Latency:
    """Time the variants, which take turns.

    Args:
        variants: The networks.
        batches: Images in a batch.
        threads: To compute with; on a GPU the first number alone.
        effort: How often and how long.
    """
    device = variants.subject.setting.device
    found: list[Timed] = []
    for batch in dict.fromkeys(batches):
        calls = variants.calls(variants.images(batch))
        for count in list(dict.fromkeys(threads))[: None if device.type == "cpu" else 1]:
            with _threads(count), torch.inference_mode():
                timed = latencies(calls, **effort._asdict())
            found.append({"batch": batch, "threads": count, **timed})
    model = fingerprint(device, 1, None)["device_model"]
    return {"unit": "seconds", "device": model, "results": found}


def memory(variants: Variants, batches: Sequence[int]) -> PeakMemory:
    """The peak of one forward pass of each variant, without gradients.

    Args:
        variants: The networks.
        batches: Images in a batch.
    """
    found: list[Held] = []
    for batch in dict.fromkeys(batches):
        images = variants.images(batch)
        calls = variants.calls(images)
        each = variants.networks.items()
        peaks = {name: peak_memory(network, images, calls[name]) for name, network in each}
        found.append({"batch": batch, "variants": peaks})
    gpu = variants.subject.setting.device.type == "cuda"
    return {"unit": "bytes", "counted": "allocator" if gpu else "tensors", "results": found}


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
