"""Which granularities, reductions, allocations, schedules and selections there are, by name.

Each is a frozen dataclass with one thing to say, made from the hyperparameters and the network by
its ``of``; a new one is one file and one line here. Criteria are in ``pruning.criteria``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from foundations.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pruning.allocations import Allocation, Counting
    from pruning.granularity import Granularity
    from pruning.mask import Mask
    from pruning.schedule import Schedule
    from pruning.selection import Selection
    from pruning.subject import Subject

    Reduction = Callable[[Tensor, tuple[int, ...]], Tensor]
    """From scores and the dimensions that are one unit to the scores of the units."""

Made_co = TypeVar("Made_co", covariant=True)


class Choice(Protocol[Made_co]):
    """What is registered: a class that can be made for what is pruned."""

    def of(self, subject: Subject) -> Made_co:
        """The choice as the hyperparameters state it, for this network.

        Raises:
            UserError: It does not go together with the other choices, or with the network.
        """


GRANULARITIES: Registry[Choice[Granularity]] = Registry(
    "granularity",
    {
        "weights": "pruning.granularity:Weights",
        "kernels": "pruning.granularities.kernels:Kernels",
        "channels": "pruning.granularities.channels:Channels",
        "nodes": "pruning.granularities.channels:Nodes",
        "gates": "pruning.granularities.gates:Gates",
        "blocks": "pruning.granularities.blocks:Blocks",
        "n_m": "pruning.granularities.n_m:NM",
    },
)
"""What is kept or cut as one."""

REDUCTIONS: Registry[Reduction] = Registry(
    "reduction",
    {
        name: f"pruning.reduction:{name}"
        for name in ("mean", "sum", "l2", "max", "abs_sum", "signed_sum")
    },
)
"""From the scores of the weights of a unit to its own score."""

ALLOCATIONS: Registry[Choice[Allocation | Counting]] = Registry(
    "allocation",
    {
        "global": "pruning.allocations.together:Global",
        "uniform": "pruning.allocations.uniform:Uniform",
        "erk": "pruning.allocations.erk:Erk",
        "groups": "pruning.allocations.groups:Groups",
        "stages": "pruning.allocations.stages:Stages",
        "explicit": "pruning.allocations.explicit:Explicit",
        "matched": "pruning.allocations.matched:Matched",
    },
)
"""How many of each layer are kept."""

SCHEDULES: Registry[Choice[Schedule]] = Registry(
    "schedule",
    {
        "geometric": "pruning.schedule:Geometric",
        "linear": "pruning.schedule:Linear",
        "cubic": "pruning.schedule:Cubic",
        "gradient_flow": "pruning.schedule:GradientFlow",
        "gradient_flow_truncated": "pruning.truncated:GradientFlowTruncated",
        "gradient_flow_percents": "pruning.truncated:GradientFlowPercents",
        "explicit": "pruning.schedule:Explicit",
    },
)
"""How much is kept after each round."""

SHUFFLES: Registry[Callable[[Mask, int], Mask]] = Registry(
    "way to shuffle",
    {
        "layerwise": "pruning.shuffle:shuffle_layerwise",
        "global": "pruning.shuffle:shuffle_globally",
        "even": "pruning.shuffle:shuffle_evenly",
    },
)
"""From a mask of units and a seed to another mask of the same count."""

SELECTIONS: Registry[Choice[Selection]] = Registry(
    "selection",
    {
        "exact": "pruning.selection:Exact",
        "published_threshold": "pruning.selection:PublishedThreshold",
        "published_threshold_floor": "pruning.selection:PublishedThresholdFloor",
    },
)
"""How a count is met."""
