"""The state of a run at a step, as tensors by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.mask import Mask


@dataclass(frozen=True)
class State:
    """Where a run stands.

    Args:
        iteration: How many updates the schedule is in: where the learning rate and the order of the
            data go on.
        weights: Parameters and buffers by their ``state_dict`` names.
        mask: What is kept; None is everything.
        slots: The optimizer's tensors by slot and parameter; empty is an optimizer that is fresh.
        seen: What an observer of training has accumulated; empty where it has seen nothing yet.
    """

    iteration: int
    weights: dict[str, Tensor]
    mask: Mask | None = None
    slots: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    seen: dict[str, Tensor] = field(default_factory=dict)
