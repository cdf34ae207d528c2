"""Weights, kernels, channels and nodes: how much of each can go, by which criterion.

"Fine Granularity is Critical for Intelligent Neural Network Pruning" (Heyman and Zylberberg 2024).
Each criterion prunes after training and goes back to the initialization, round by round; random
pruning, to which it is compared, comes before training, each layer alike.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from branches.describing import branch
from papers.granularity_tasks import RANDOM_AT, Task, dbsn, resnet20
from papers.grids import below, tabulated
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
    from collections.abc import Callable

    from papers.paper import Table

ABSTRACT = "abstract, doi:10.1162/neco_a_01717"

LOSSES = (0.005, 0.01, 0.02)
"""Accuracy that may be lost."""

UNPRUNED = "unpruned"
NOTE = (
    "Kept are fractions of all units that may be cut. Criteria prune after training, in rounds "
    "that go back to the initialization, all layers together where nothing else is said; random "
    "pruning is at initialization, each layer alike. Which fractions and how many replicates the "
    "paper has is not known here: these are the code's example, 12.5 % in 5 rounds, and its "
    "neighbours."
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
    return _study(scale, task, table, _figure(task))


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
    return _study(scale, task, tabulated(title, "pruning", cells))


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
        scale,
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
    return _study(scale, task, tabulated(title, "pruning", cells))


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
    return _study(
        scale, task, tabulated(f"{task.title}, magnitude, pruned by layer", "by layer", cells)
    )


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
    return _study(
        scale, task, tabulated(f"{task.title}, magnitude and its controls", "pruning", cells)
    )


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


def _study(
    scale: Scale, task: Task, table: Table, *figures: Figure, notes: tuple[str, ...] = ()
) -> Study:
    return Study(table, figures, task.replicates, notes=(*notes, NOTE, *below(scale)))


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
