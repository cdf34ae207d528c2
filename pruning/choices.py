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

    from pruning.allocation import Allocation
    from pruning.granularity import Granularity
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
    {"weights": "pruning.granularity:Weights"},
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

ALLOCATIONS: Registry[Choice[Allocation]] = Registry(
    "allocation", {"global": "pruning.allocation:Global"}
)
"""How many of each layer are kept."""

SCHEDULES: Registry[Choice[Schedule]] = Registry(
    "schedule", {"geometric": "pruning.schedule:Geometric"}
)
"""How much is kept after each round."""

SELECTIONS: Registry[Choice[Selection]] = Registry(
    "selection", {"exact": "pruning.selection:Exact"}
)
"""How a count is met."""
