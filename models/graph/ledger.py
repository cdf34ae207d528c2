"""Where the steps of a network are written down while its graph is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from models.graph.flow import Flow, Kind, Lane, Site, Step, Wires

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass
class Ledger:
    """The flow so far. The one thing here that changes."""

    steps: list[Step] = field(default_factory=list)
    wires: int = 0
    sites: dict[str, Site] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    lanes: dict[str, Lane] = field(default_factory=dict)

    def step(
        self, kind: Kind, sources: ArrayLike, count: int, *, name: str = "", groups: int = 1
    ) -> Wires:
        """Write down a step with this many new wires; gives them."""
        outputs = np.arange(self.wires, self.wires + count)
        self.wires += count
        rows = np.atleast_2d(np.asarray(sources, dtype=np.int64))
        self.steps.append(Step(kind, name, rows, outputs, groups))
        return outputs

    def count(self, layer: str, shape: tuple[int, ...], positions: int) -> None:
        """Note the output of a layer, for one image; a layer may be called again."""
        self.shapes.setdefault(layer, shape)
        self.positions[layer] = self.positions.get(layer, 0) + positions

    def flow(self) -> Flow:
        """What was written."""
        return Flow(
            tuple(self.steps), self.wires, self.sites, self.shapes, self.positions, self.lanes
        )
