"""Weights, kernels, channels and nodes: how much of each can go, by which criterion.

"Fine Granularity is Critical for Intelligent Neural Network Pruning" (Heyman and Zylberberg 2024).
Each criterion prunes after training and goes back to the initialization, round by round; random
pruning, to which it is compared, comes before training, each layer alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from branches.describing import branch, describe
from branches.lineages import iterative
from branches.lottery_rewind import LotteryRewind
from papers.grids import stand_in, tabulated
from papers.measures import ACCURACY
from papers.paper import (
    Baseline,
    Cell,
    Curve,
    Figure,
    Measure,
    Paper,
    Point,
    Published,
    Scale,
    Study,
)
from papers.rates import Allowed, BestAtRateOf, RateOf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from foundations.description import Description
    from papers.paper import Table
    from training.description import TrainDesc

    Settings = dict[str, Any]

KEPT = (0.5, 0.25, 0.125, 0.0625, 0.03125)
"""The fractions that are kept. The paper's are not known here; its code's example is .125."""

ROUNDS = 5
"""As in that example."""

REPLICATES = (1, 2, 3)
"""How many the paper has is not known here."""

CRITERIA = {
    "magnitude": "magnitude",
    "snip": "gate_saliency",
    "stat": "activation_statistics",
}
"""By their names in the code; of kernels, channels and nodes, magnitude is the mean."""

FULL_LAYERS = ("fc", "blocks.3.shortcut", "blocks.6.shortcut")
"""Of ResNet-20, what the code never prunes: the output layer, and shortcuts that have weights."""

ABSTRACT = "abstract, doi:10.1162/neco_a_01717"
RANDOM_AT = 0.85
"""The accuracy of random pruning for whose rates the abstract says how accurate criteria are."""
BEST_THERE = {"weights": 0.90, "kernels": 0.865, "channels": 0.855}

LOSSES = (0.005, 0.01, 0.02)
"""Accuracy that may be lost."""

UNPRUNED = "unpruned"
NOTE = (
    "Kept are fractions of all units that may be cut. Criteria prune after training, in rounds "
    "that go back to the initialization, all layers together; random pruning is at initialization, "
    "each layer alike. Which fractions and how many replicates the paper has is not known here: "
    "these are the code's example, 12.5 % in 5 rounds, and its neighbours."
)


@dataclass(frozen=True)
class Task:
    """A network on a data set.

    Args:
        title: What it is.
        dense: Its training.
        granularities: By the paper's names, the hyperparameters of each.
        allocations: By the names of ``--prune_by_layer``, what it is here.
        kept: The fractions that are kept, falling.
        rounds: Of iterative pruning.
        other_rounds: To compare with, at ``compared_at``.
        compared_at: One of ``kept``.
        scoring: How many examples are scored on, where not as in the code.
        replicates: Repetitions.
        published: How accurate the best criterion is where random pruning is at ``RANDOM_AT``.
    """

    title: str
    dense: TrainDesc
    granularities: Mapping[str, Settings]
    allocations: Mapping[str, str]
    kept: tuple[float, ...] = KEPT
    rounds: int = ROUNDS
    other_rounds: tuple[int, ...] = (1, 2)
    compared_at: float = 0.125
    scoring: Settings = field(default_factory=dict)
    replicates: tuple[int, ...] = REPLICATES
    published: Mapping[str, float] = field(default_factory=dict)

    def criteria(self, granularity: str) -> tuple[str, ...]:
        """Those that there are for units of a granularity: weights have no activations."""
        return tuple(CRITERIA)[: 2 if granularity in {"weights", "kernels"} else 3]

    def random(self, granularity: str, kept: float) -> Description:
        """Pruned at random at initialization, each layer alike."""
        chosen = {**self.granularities[granularity], "allocation": "uniform"}
        return branch(self.dense, "oneshot", strategy="random", prune_fraction=1 - kept, **chosen)

    def pruned(
        self,
        granularity: str,
        criterion: str,
        kept: float,
        rounds: int,
        allocation: str = "global",
    ) -> Description:
        """Pruned in rounds of training, cutting and going back; in none, at initialization."""
        settings: Settings = {
            **self.granularities[granularity],
            "strategy": CRITERIA[criterion],
            "prune_fraction": 1 - kept,
            "allocation": allocation,
            **(self.scoring if criterion != "magnitude" else {}),
        }
        if not rounds:
            return branch(self.dense, "oneshot", **settings)
        return iterative(self.dense, LotteryRewind(**settings), rounds)[-1]

    def curve(self, granularity: str, criterion: str) -> tuple[Description, ...]:
        """The runs of a criterion, or of random pruning, at each fraction."""
        return tuple(
            self.random(granularity, kept)
            if criterion == "random"
            else self.pruned(granularity, criterion, kept, self.rounds)
            for kept in self.kept
        )

    def methods(self) -> Iterator[tuple[str, str]]:
        """Every granularity with random pruning and each of its criteria."""
        for granularity in self.granularities:
            for criterion in ("random", *self.criteria(granularity)):
                yield granularity, criterion


def dbsn(scale: Scale) -> Task:
    """The network of five hidden layers on MNIST."""
    chosen = {name: {"granularity": name} for name in ("weights", "nodes")}
    layers = {"none": "global", "all": "uniform"}
    if scale is Scale.FULL:
        return Task("DBSN on MNIST", describe("mnist_dbsn"), chosen, layers)
    dense = stand_in("mnist_dbsn", "mnist_dbsn_40_20", training_steps="30it", lr=0.002)
    return _smoke(Task("A small DBSN on digits", dense, chosen, layers))


def resnet20(scale: Scale, *, dataset: str = "cifar10") -> Task:
    """ResNet-20 on CIFAR-10 or CIFAR-100."""
    full = scale is Scale.FULL
    ignored = FULL_LAYERS if full else ("fc", "blocks.1.shortcut", "blocks.2.shortcut")
    chosen: dict[str, Settings] = {
        **{
            name: {"granularity": name, "layers_to_ignore": ignored}
            for name in ("weights", "kernels")
        },
        "channels": {"granularity": "gates"},
    }
    layers = {"none": "global", "by_res_type": "stages", "all": "uniform"}
    if full:
        other: Settings = {"dataset_name": dataset, "normalize": dataset}
        other = {} if dataset == "cifar10" else other
        title = f"ResNet-20 on {dataset.upper().replace('CIFAR', 'CIFAR-')}"
        published = {} if other else BEST_THERE
        dense = describe("granularity_resnet_20", **other)
        return Task(title, dense, chosen, layers, published=published)
    times = {"training_steps": "30it", "warmup_steps": "20it", "milestone_steps": "20it,25it"}
    dense = stand_in("granularity_resnet_8", "cifar_resnet_8_4", **times)
    return _smoke(Task("A small ResNet on digits", dense, chosen, layers, published=BEST_THERE))


def _smoke(task: Task) -> Task:
    """With fewer fractions, rounds and examples, once."""
    return replace(
        task,
        kept=(0.5, 0.25),
        rounds=1,
        other_rounds=(2,),
        compared_at=0.25,
        scoring={"score_examples": 64},
        replicates=(1,),
    )


def accuracies(make: Callable[[Scale], Task], scale: Scale) -> Study:
    """How accurate each criterion is at each fraction, beside random pruning."""
    task = make(scale)
    cells = [
        (f"{granularity}, {criterion}", percent(kept), Cell(run, ACCURACY))
        for granularity, criterion in task.methods()
        for kept, run in zip(task.kept, task.curve(granularity, criterion), strict=True)
    ]
    cells.append((UNPRUNED, percent(1), Cell(task.dense, ACCURACY)))
    heads = (percent(kept) for kept in (1, *task.kept))
    table = tabulated(f"{task.title}, by what is kept of all units", "pruning", cells, heads)
    return _study(task, table, _figure(task))


def allowed(make: Callable[[Scale], Task], scale: Scale) -> Study:
    """How much of the network has to be kept so that it is still nearly as accurate."""
    task = make(scale)
    cells = []
    for loss in LOSSES:
        measure = Measure("units to keep", Allowed(task.kept, loss), 100, 1, "%")
        for granularity, criterion in task.methods():
            runs = task.curve(granularity, criterion)
            row, column = f"{granularity}, {criterion}", f"{100 * loss:g} points lost"
            cells.append((row, column, Cell(task.dense, measure, also=runs)))
    title = f"{task.title}, the fewest units with which no more accuracy is lost"
    return _study(task, tabulated(title, "pruning", cells))


def where_random_is(make: Callable[[Scale], Task], scale: Scale) -> Study:
    """How accurate the best criterion is at the rate at which random pruning has lost so much."""
    task = make(scale)
    rate = Measure("units kept", RateOf(task.kept, RANDOM_AT), 100, 1, "%")
    best = Measure("test accuracy", BestAtRateOf(task.kept, RANDOM_AT), 100, 2, "%")
    cells = []
    for granularity in task.granularities:
        random, *others = (
            task.curve(granularity, criterion)
            for criterion in ("random", *task.criteria(granularity))
        )
        value = task.published.get(granularity)
        published = None if value is None else Published(value, where=ABSTRACT)
        every = (*random, *(run for curve in others for run in curve))
        cells += [
            (granularity, "units kept", Cell(task.dense, rate, also=random)),
            (granularity, "best criterion", Cell(task.dense, best, published, also=every)),
        ]
    title = f"{task.title}, where random pruning leaves {100 * RANDOM_AT:.1f} % accuracy"
    return _study(
        task,
        tabulated(title, "granularity", cells),
        notes=("Between the measured fractions, accuracy is a line over their logarithm.",),
    )


def rounds(make: Callable[[Scale], Task], scale: Scale) -> Study:
    """What more rounds are worth, at one fraction."""
    task = make(scale)
    numbers = sorted({0, task.rounds, *task.other_rounds})
    cells = [
        (
            f"{granularity}, {criterion}",
            f"{number} rounds" if number else "at initialization",
            Cell(task.pruned(granularity, criterion, task.compared_at, number), ACCURACY),
        )
        for granularity in task.granularities
        for criterion in task.criteria(granularity)
        for number in numbers
    ]
    title = f"{task.title}, {percent(task.compared_at)} kept, by rounds"
    return _study(task, tabulated(title, "pruning", cells))


def by_layer(make: Callable[[Scale], Task], scale: Scale) -> Study:
    """What it is worth that all layers compete, or layers of a type, or none."""
    task = make(scale)
    cells = [
        (
            f"{granularity}, {name}",
            percent(kept),
            Cell(task.pruned(granularity, "magnitude", kept, task.rounds, allocation), ACCURACY),
        )
        for granularity in task.granularities
        for name, allocation in task.allocations.items()
        for kept in task.kept
    ]
    return _study(task, tabulated(f"{task.title}, magnitude, pruned by layer", "by layer", cells))


def controls(make: Callable[[Scale], Task], scale: Scale) -> Study:
    """What is left of it with new weights, and with a random mask of the same counts."""
    task = make(scale)
    cells = []
    for granularity in task.granularities:
        for kept, run in zip(task.kept, task.curve(granularity, "magnitude"), strict=True):
            variants = {
                "as it is": run,
                "reinitialized": branch(run, "reinit"),
                "layer-matched random": branch(task.dense, "layer_matched", counts_of=run),
            }
            row = f"{granularity}, {percent(kept)} kept"
            cells += [(row, name, Cell(each, ACCURACY)) for name, each in variants.items()]
    return _study(task, tabulated(f"{task.title}, magnitude and its controls", "pruning", cells))


def percent(fraction: float) -> str:
    """A fraction as heads say it: ``12.5 %``."""
    return f"{100 * fraction:g} %"


def _figure(task: Task) -> Figure:
    """Accuracy over the fraction that is kept."""
    curves = tuple(
        Curve(
            f"{granularity}, {criterion}",
            tuple(
                Point(run, kept)
                for kept, run in zip(task.kept, task.curve(granularity, criterion), strict=True)
            ),
        )
        for granularity, criterion in task.methods()
    )
    return Figure(
        "figure",
        task.title,
        x=Measure("units kept", factor=100, unit="%"),
        y=ACCURACY,
        curves=curves,
        baselines=(Baseline(UNPRUNED, task.dense),),
        log_x=True,
        falling_x=True,
    )


def _study(task: Task, table: Table, *figures: Figure, notes: tuple[str, ...] = ()) -> Study:
    return Study(table, figures, task.replicates, notes=(*notes, NOTE))


_TASKS: dict[str, Callable[[Scale], Task]] = {
    "dbsn": dbsn,
    "resnet20": resnet20,
    "resnet20_cifar100": partial(resnet20, dataset="cifar100"),
}
_STUDIES = {
    "": accuracies,
    "_allowed": allowed,
    "_where_random_is": where_random_is,
    "_rounds": rounds,
    "_by_layer": by_layer,
    "_controls": controls,
}

PAPER = Paper(
    name="granularity",
    title="Fine Granularity is Critical for Intelligent Neural Network Pruning",
    citation="Heyman and Zylberberg, Neural Computation 36(12), 2024.",
    studies={
        f"{task}{study}": partial(made, make)
        for task, make in _TASKS.items()
        for study, made in _STUDIES.items()
    },
)
