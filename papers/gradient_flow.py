"""Five measures of importance, in one round of pruning while training or in many.

"A Gradient Flow Framework for Analyzing Network Pruning" (Lubana and Dick 2021). Filters are cut at
the ends of the first epochs, a round each; training takes as many epochs with rounds as without.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from branches.base import recipe_of
from branches.describing import branch, describe
from papers.grids import below, stand_in, tabulated
from papers.measures import ACCURACY
from papers.paper import Baseline, Cell, Curve, Figure, Measure, Paper, Point, Scale, Study

if TYPE_CHECKING:
    from collections.abc import Mapping

    from branches.opened import Run
    from foundations.description import Description
    from training.description import TrainDesc

    Settings = dict[str, Any]

MEASURES: Mapping[str, Settings] = {
    "magnitude": {"strategy": "filter_l2"},
    "loss preservation": {"strategy": "wg"},
    "biased loss": {"strategy": "w2g"},
    "GraSP": {"strategy": "whg", "score_temperature": 200},
    "gradient preservation": {"strategy": "whg_abs"},
}
"""In the code: mag_based, loss_based, biased_loss, grasp and grad_preserve."""

ROUNDS = (1, 5, 25)
FRACTION = 0.75
"""Of the filters, as in the code's example; what the paper cuts of each is not known here."""

REPLICATES = (1, 2, 3)
"""How many the paper has is not known here."""

UNPRUNED = "unpruned"
NOTE = (
    "Every layer keeps as many filters at least as in the published code, those with the highest "
    "scores. How many filters are cut and how many replicates there are in the paper is not known "
    "here: 75 % is the code's example."
)
ROUNDING_NOTE = (
    "The published code rounds the filters of VGG down in each round, and the percentages of "
    "ResNets: of ResNet-56, 82 % go where 75 % in 25 rounds are asked for. Of MobileNet it counts "
    "depthwise filters too, which is not done here."
)
EXACT = "gradient_flow"
_OF_VGG: Settings = {"granularity": "channels", "minimum_fraction": 0.05}
_OF_RESNET: Settings = {
    "granularity": "channels",
    "coupling": "independent",
    "layers_to_ignore": ("conv",),
    "minimum_kept": 1,
}


@dataclass(frozen=True)
class Network:
    """A network, and how it is cut.

    Args:
        title: What it is.
        preset: Its recipe and, at full scale, the network.
        cut: Which of its filters may go, and how many stay at least.
        rounded: The schedule whose counts, or percentages, are rounded as in the published code;
            None where there is none, as for networks with depthwise convolutions.
    """

    title: str
    preset: str
    cut: Settings
    rounded: str | None = None


NETWORKS = {
    "vgg13": Network("VGG-13", "cifar_vgg_13_relu_bn", _OF_VGG, "gradient_flow_truncated"),
    "mobilenet": Network("MobileNet-V1", "cifar_mobilenet", _OF_VGG),
    "resnet56": Network(
        "ResNet-56", "gradient_flow_resnet_56", _OF_RESNET, "gradient_flow_percents"
    ),
}
DATASETS = ("cifar10", "cifar100")


@dataclass(frozen=True)
class Grid:
    """Measures by rounds, of a network on a data set.

    Args:
        network: Which.
        dense: Its training.
        rounds: How many there are, rising.
        every: After how many epochs accuracy is drawn.
        scoring: How many examples are scored on, where not as in the code.
        replicates: Repetitions.
    """

    network: Network
    dense: TrainDesc
    rounds: tuple[int, ...] = ROUNDS
    every: int = 10
    scoring: Settings = field(default_factory=dict)
    replicates: tuple[int, ...] = REPLICATES

    @classmethod
    def of(cls, network: Network, dataset: str, scale: Scale) -> Grid:
        """The grid at a scale; at that of smoke, a small ResNet stands in for every network."""
        if scale is Scale.FULL:
            return cls(network, describe(network.preset, dataset_name=dataset))
        times: Settings = {"training_steps": "3ep", "milestone_steps": "2ep", "batch_size": 64}
        dense = stand_in(network.preset, "cifar_resnet_8_4", **times)
        return cls(network, dense, (1, 2), 1, {"score_examples": 40}, (1,))

    @property
    def title(self) -> str:
        """The network and the data set."""
        recipe = recipe_of(self.dense)
        own = recipe.model.model_name == self.network.preset
        instead = "" if own else f"{recipe.model.model_name} in place of "
        return f"{instead}{self.network.title} on {recipe.dataset.dataset_name}"

    def pruned(self, measure: str, rounds: int, schedule: str = EXACT) -> Description:
        """Pruned by a measure, in so many rounds; in none, not at all."""
        if not rounds:
            return self.dense
        return branch(
            self.dense,
            "interleaved",
            **self.network.cut,
            **MEASURES[measure],
            **(self.scoring if measure != "magnitude" else {}),
            schedule=schedule,
            prune_fraction=FRACTION,
            prune_iterations=rounds,
        )

    @property
    def epochs(self) -> tuple[int, ...]:
        """At which accuracy is drawn."""
        end = recipe_of(self.dense).training.training_steps.epoch
        return tuple(range(self.every, end + 1, self.every))


@dataclass(frozen=True)
class AccuracyAt:
    """The test accuracy at the end of an epoch."""

    epoch: int

    def __call__(self, run: Run) -> float | None:
        """As it was measured last there; None where it was not."""
        rows = [
            row.value
            for row in run.metrics
            if (row.phase, row.name, row.epoch) == ("test", "accuracy", self.epoch)
        ]
        return rows[-1] if rows else None


def measures(network: Network, dataset: str, scale: Scale) -> Study:
    """The accuracy of each measure in each number of rounds."""
    grid = Grid.of(network, dataset, scale)
    cells = [
        (measure, _rounds(number), Cell(grid.pruned(measure, number), ACCURACY))
        for measure in MEASURES
        for number in grid.rounds
    ]
    what = f"{grid.title}, {100 * FRACTION:g} % of the filters cut"
    cells.append((UNPRUNED, _rounds(0), Cell(grid.dense, ACCURACY)))
    table = tabulated(what, "measure", cells, map(_rounds, (0, *grid.rounds)))
    return Study(
        table,
        (_by_rounds(grid), _training(grid)),
        grid.replicates,
        notes=(NOTE, *below(scale)),
    )


def rounding(dataset: str, scale: Scale) -> Study:
    """What it changes that the published code rounds down, round by round."""
    cells = []
    grids = [Grid.of(network, dataset, scale) for network in NETWORKS.values()]
    rounds, replicates = grids[0].rounds[-1], grids[0].replicates
    for grid in grids:
        if grid.network.rounded is None:
            continue
        for name, schedule in (("exact", EXACT), ("as published", grid.network.rounded)):
            run, row = grid.pruned("magnitude", rounds, schedule), f"{grid.title}, {name}"
            cells += [(row, "filters left", Cell(run, FILTERS_LEFT))]
            cells += [(row, "test accuracy", Cell(run, ACCURACY))]
    title = f"Magnitude, {100 * FRACTION:g} % of the filters asked for in {rounds} rounds"
    table = tabulated(title, "counts in each round", cells)
    return Study(table, (), replicates, notes=(ROUNDING_NOTE, *below(scale)))


def filters_left(run: Run) -> float | None:
    """The fraction of all filters that have a weight left."""
    counts = run.sparsity
    if counts is None or not counts.get("channels"):
        return None
    return float(counts["channels_alive"] / counts["channels"])


FILTERS_LEFT = Measure("filters left", filters_left, factor=100, digits=1, unit="%")


def _rounds(number: int) -> str:
    return f"{number} round{'' if number == 1 else 's'}"


def _by_rounds(grid: Grid) -> Figure:
    """Accuracy over the number of rounds."""
    curves = tuple(
        Curve(measure, tuple(Point(grid.pruned(measure, n), n) for n in grid.rounds))
        for measure in MEASURES
    )
    lines = (Baseline(UNPRUNED, grid.dense),)
    return Figure(
        "rounds", grid.title, Measure("rounds", digits=0), ACCURACY, curves, lines, log_x=True
    )


def _training(grid: Grid) -> Figure:
    """Accuracy over epochs, in the most rounds."""
    last = grid.rounds[-1]
    runs = {measure: grid.pruned(measure, last) for measure in MEASURES}
    curves = tuple(
        Curve(
            measure,
            tuple(
                Point(run, epoch, Measure("test accuracy", AccuracyAt(epoch), 100, 2, "%"))
                for epoch in grid.epochs
            ),
        )
        for measure, run in {UNPRUNED: grid.dense, **runs}.items()
    )
    title = f"{grid.title}, in {last} rounds"
    return Figure("training", title, Measure("epochs", digits=0), ACCURACY, curves)


PAPER = Paper(
    name="gradient_flow",
    title="A Gradient Flow Framework for Analyzing Network Pruning",
    citation="Lubana and Dick, ICLR 2021, arXiv:2009.11839.",
    studies={
        **{
            f"{name}_{dataset}": partial(measures, network, dataset)
            for dataset in DATASETS
            for name, network in NETWORKS.items()
        },
        **{f"rounding_{dataset}": partial(rounding, dataset) for dataset in DATASETS},
    },
)
