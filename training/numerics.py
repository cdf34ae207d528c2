"""What each numerics profile means: precision, memory format, determinism, compilation."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch.utils import deterministic

from training.world import profile_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


Function = TypeVar("Function", bound="Callable[..., Any]")


@dataclass(frozen=True)
class Numerics:
    """A profile: the dtype weights are stored in, and how arithmetic is done with them."""

    dtype: torch.dtype = torch.float32
    autocast: torch.dtype | None = None
    memory_format: torch.memory_format = torch.channels_last
    compiled: bool = False

    def arithmetic(self, device: torch.device) -> AbstractContextManager[object]:
        """The context in which a forward pass runs."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(device.type, self.autocast, cache_enabled=False)


PROFILES = {
    "float32": Numerics(),
    "float32_channels_first": Numerics(memory_format=torch.contiguous_format),
    "compiled": Numerics(compiled=True),
    "bfloat16": Numerics(autocast=torch.bfloat16),
    "compiled_bfloat16": Numerics(autocast=torch.bfloat16, compiled=True),
    "float64": Numerics(dtype=torch.float64),
}


def numerics_of(name: str) -> Numerics:
    """What a run's ``numerics`` mean for one process: the profile, whatever the world's size."""
    return PROFILES[profile_of(name)]


def sum_dtype(device: torch.device) -> torch.dtype:
    """In what to add up over a split: float64, but for Apple's GPUs, which have none."""
    return torch.float32 if device.type == "mps" else torch.float64


@contextmanager
def applied(profile: str, threads: int) -> Iterator[None]:
    """PyTorch's process-wide switches as a profile wants them; on leaving, as they were.

    Algorithms are deterministic and chosen by rule, not by timing; float32 products are float32's.

    Args:
        profile: One of ``PROFILES``, with or without a world.
        threads: How many to compute with.
    """
    # cuBLAS reads this when it starts; without it, its results may vary.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = Switches.read()
    wanted = Switches(threads=threads)
    wanted.set()
    try:
        with _deterministic_compiler() if numerics_of(profile).compiled else nullcontext():
            yield
    finally:
        before.set()


@dataclass(frozen=True)
class Switches:
    """The switches of PyTorch on which results depend; the defaults are what runs compute with."""

    threads: int
    deterministic: int = 2
    """The debug mode: an error where an operator has no deterministic algorithm. Setting it so
    spares the import of the compiler, a second, that ``use_deterministic_algorithms`` costs."""
    fill_uninitialized: bool = False
    """Filling fresh memory with NaN finds bugs in PyTorch itself and costs a pass over memory."""
    benchmark: bool = False
    tf32_convolutions: bool = False
    matmul_precision: str = "highest"
    dtype: torch.dtype = torch.float32

    @classmethod
    def read(cls) -> Switches:
        """As they are now."""
        return cls(
            torch.get_num_threads(),
            torch.get_deterministic_debug_mode(),
            deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined] # a property
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
            torch.get_float32_matmul_precision(),
            torch.get_default_dtype(),
        )

    def set(self) -> None:
        """Make PyTorch's so."""
        torch.set_num_threads(self.threads)
        torch.set_deterministic_debug_mode(self.deterministic)
        deterministic.fill_uninitialized_memory = self.fill_uninitialized  # type: ignore[attr-defined] # a property
        torch.backends.cudnn.benchmark = self.benchmark
        torch.backends.cudnn.allow_tf32 = self.tf32_convolutions
        torch.set_float32_matmul_precision(self.matmul_precision)
        torch.set_default_dtype(self.dtype)


def _deterministic_compiler() -> AbstractContextManager[object]:
    """The compiler chooses kernels by rule, not by timing."""
    from torch._inductor import config

    patched: AbstractContextManager[object] = config.patch(deterministic=True)
    return patched


def compiled_apart(function: Function) -> Function:
    """``function`` compiled as one graph, in a cache of graphs of its own.

    PyTorch counts the graphs of all functions that come from one place in the source together, and
    gives up after eight: as many networks as a sweep in one process soon has.
    """
    function.__code__ = function.__code__.replace()
    return cast("Function", torch.compile(function, fullgraph=True, dynamic=False))
