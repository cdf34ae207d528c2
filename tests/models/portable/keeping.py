"""What a process does that is killed while it keeps a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import fx, nn

from models.portable.saved import save_compacted

if TYPE_CHECKING:
    from pathlib import Path


def kept() -> fx.GraphModule:
    """A linear layer, always the same."""
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) + number)
    return fx.symbolic_trace(nn.Sequential(layer))


def keep(folder: Path) -> None:
    """Keep it."""
    save_compacted(folder, kept(), {"shape": [3], "classes": 2})
