"""How many processes train a run together: the world size that a numerics profile names."""

from __future__ import annotations

WORLD = "_world_"
"""What stands between the profile and the number of processes: ``float32_world_2``."""


def world_of(numerics: str) -> int:
    """The number of processes: 2 for ``float32_world_2``, 1 for a profile that names none."""
    _, _, size = numerics.partition(WORLD)
    counted = size.isascii() and size.isdecimal() and not size.startswith("0")
    return int(size) if counted else 1


def profile_of(numerics: str) -> str:
    """The arithmetic of each process: ``float32`` for ``float32_world_2``."""
    return numerics.partition(WORLD)[0]
