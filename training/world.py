"""How many processes train a run together: the world size that a numerics profile names."""

from __future__ import annotations

import re

_WORLD = re.compile(r"(?P<profile>.+)_world_(?P<size>[1-9][0-9]*)")


def world_of(numerics: str) -> int:
    """The number of processes: 2 for ``float32_world_2``, 1 for a profile that names none."""
    match = _WORLD.fullmatch(numerics)
    return int(match["size"]) if match else 1


def profile_of(numerics: str) -> str:
    """The arithmetic of each process: ``float32`` for ``float32_world_2``."""
    match = _WORLD.fullmatch(numerics)
    return match["profile"] if match else numerics
