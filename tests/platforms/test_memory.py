"""Memory that is freed stays with the process, and comes back without page faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

from platforms.memory import keep_freed_memory

FAULTS = """
import resource, sys
import torch
from platforms.memory import keep_freed_memory
keep_freed_memory(keep=sys.argv[1] == "keep")
def step():
    made = [torch.ones(16 << 20) for _ in range(2)]
for _ in range(3):
    step()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min(faults() for _ in range(10)))  # once the memory has settled
"""


def faults(mode: str) -> int:
    """Page faults of a step that allocates and frees 128 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_freed_memory_is_reused_without_page_faults() -> None:
    """A step that frees what it allocates faults its pages in once, not every time."""
    if not keep_freed_memory(keep=False):
        pytest.skip("the C library has no mallopt")
    assert faults("keep") * 4 < faults("default")
