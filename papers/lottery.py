"""The lottery ticket hypothesis: accuracy of winning tickets, level by level, and their rivals.

"The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks" (Frankle and Carbin
2019), with the networks and recipes of OpenLTH. Of each level's ticket there are two rivals: the
mask shuffled within layers (randomly pruned), and the mask on new initial weights (randomly
reinitialized).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from branches.describing import branch, describe, lottery
from models.presets import pruning_preset
from papers.grids import below
from papers.measures import ACCURACY, COMPRESSION, WEIGHTS_LEFT
from papers.paper import Baseline, Cell, Curve, Figure, Measure, Paper, Point, Scale, Study, Table

if TYPE_CHECKING:
    from branches.opened import Run
    from foundations.description import Description

TICKET, SHUFFLED, REINITIALIZED = "winning ticket", "randomly pruned", "reinitialized"
_RIVALS = {SHUFFLED: "shuffle", REINITIALIZED: "reinit"}


@dataclass(frozen=True)
class Lottery:
    """How far a lottery goes.

    Args:
        network: The preset of the dense network.
        levels: The number of the last level.
        training_steps: Of each level; by default the preset's.
        rewinding_steps: Where each level begins; by default at the initialization.
        replicates: How many repetitions there are.
    """

    network: str
    levels: int
    training_steps: str | None = None
    rewinding_steps: str = "0ep"
    replicates: int = 5

    @cached_property
    def dense(self) -> Description:
        """Level 0."""
        steps = self.training_steps
        changed: dict[str, Any] = {"training_steps": steps} if steps else {}
        return describe(self.network, **changed)

    @property
    def tickets(self) -> tuple[Description, ...]:
        """The levels, the dense network first."""
        given = pruning_preset(self.network)
        layers = tuple(filter(None, str(given.get("layers_to_ignore", "")).split(",")))
        return lottery(
            self.dense,
            self.levels,
            prune_fraction=given["prune_fraction"],
            layers_to_ignore=layers,
            rewinding_steps=self.rewinding_steps,
        )


def early_stop(run: Run) -> float | None:
    """The iteration at which the test loss was lowest; None where it was not followed."""
    losses = [row for row in run.metrics if (row.phase, row.name) == ("test", "loss")]
    if len(losses) <= 2:  # the first and the last state alone
        return None
    return float(min(losses, key=lambda row: row.value).iteration)


EARLY_STOP = Measure("iteration of the lowest test loss", early_stop, digits=0)


def study(full: Lottery, smoke: Lottery, scale: Scale) -> Study:
    """The table of a lottery, and its figures."""
    chosen = full if scale is Scale.FULL else smoke
    methods = _methods(chosen.tickets)
    return Study(
        table=_table(chosen, methods),
        figures=tuple(_figures(chosen, methods)),
        replicates=tuple(range(1, chosen.replicates + 1)),
        notes=(_note(chosen), *below(scale)),
    )


def _note(chosen: Lottery) -> str:
    fraction = pruning_preset(chosen.network)["prune_fraction"]
    back = "it began with" if chosen.rewinding_steps == "0ep" else f"of {chosen.rewinding_steps}"
    return (
        f"Each level cuts {100 * fraction:g} % of the weights that are left, those of the least "
        f"magnitude at the end of training, and goes back to the weights {back}."
    )


def _methods(tickets: tuple[Description, ...]) -> dict[str, tuple[Description, ...]]:
    """The runs of each method, level by level; level 0 is the same dense network in all."""
    dense, *pruned = tickets
    rivals = {
        name: (dense, *(branch(ticket, kind) for ticket in pruned))
        for name, kind in _RIVALS.items()
    }
    return {TICKET: tickets, **rivals}


def _table(chosen: Lottery, methods: dict[str, tuple[Description, ...]]) -> Table:
    rows = tuple(f"level {level}" for level in range(chosen.levels + 1))
    cells = {
        (row, name): Cell(run, ACCURACY)
        for name, runs in methods.items()
        for row, run in zip(rows, runs, strict=True)
    }
    left = zip(rows, methods[TICKET], strict=True)
    counted = {(row, WEIGHTS_LEFT.name): Cell(run, WEIGHTS_LEFT) for row, run in left}
    return Table(
        title=f"Lottery tickets of {chosen.network}",
        corner="level",
        rows=rows,
        columns=(WEIGHTS_LEFT.name, *methods),
        cells=counted | cells,
    )


def _figures(chosen: Lottery, methods: dict[str, tuple[Description, ...]]) -> list[Figure]:
    curves = tuple(Curve(name, tuple(Point(run) for run in runs)) for name, runs in methods.items())
    make = partial(
        Figure,
        title=f"Lottery tickets of {chosen.network}",
        curves=curves,
        baselines=(Baseline("dense", chosen.dense),),
        log_x=True,
    )
    return [
        make(name="figure", x=WEIGHTS_LEFT, y=ACCURACY, falling_x=True),
        make(name="figure_compression", x=COMPRESSION, y=ACCURACY),
        make(name="figure_early_stop", x=WEIGHTS_LEFT, y=EARLY_STOP, falling_x=True),
    ]


_SMOKE = Lottery("digits_lenet_16", levels=3, training_steps="3ep", replicates=1)
_REWOUND = Lottery(
    "digits_lenet_16", levels=3, training_steps="3ep", rewinding_steps="5it", replicates=1
)

PAPER = Paper(
    name="lottery",
    title="The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks",
    citation="Frankle and Carbin, ICLR 2019.",
    studies={
        "mnist": partial(study, Lottery("mnist_lenet_300_100", levels=10), _SMOKE),
        "resnet20": partial(
            study, Lottery("cifar_resnet_20", levels=15, rewinding_steps="1000it"), _REWOUND
        ),
        "vgg16": partial(
            study, Lottery("cifar_vgg_16", levels=15, rewinding_steps="1000it"), _REWOUND
        ),
    },
)
