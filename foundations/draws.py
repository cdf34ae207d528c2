"""Random draws that are a function of a key alone.

Every draw of a run is made on the CPU by a generator of its own, keyed by a seed, a purpose and a
position such as an epoch. Nothing depends on what was drawn before, so a resumed run needs no
generator state, and two runs draw the same on every device.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def key(*parts: str | int) -> int:
    """A seed of 63 bits that is a function of ``parts``: ``key(seed, "order", epoch)``."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: str | int) -> torch.Generator:
    """A CPU generator keyed by ``parts``.

    PyTorch's generator of the CPU is MT19937 and is seeded with the low 32 bits of the key alone;
    ``initial_seed`` shows all 63. So two keys draw the same with a probability of 2**-32, which is
    no matter for the few thousand generators of a run; those of several runs may well coincide.
    """
    import torch

    return torch.Generator().manual_seed(key(*parts))
