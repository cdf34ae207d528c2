"""Channels cut one by one, what is left trained from scratch, and smaller networks to compare with.

"Pruning neural networks: is it time to nip it in the bud?" (Crowley et al. 2018). A trained network
loses the channel that Fisher information, or the l1 norm of its filter, says matters least; trains
100 batches; loses the next one. Its error on the way is compared with that of the networks it has
become, trained anew, and with that of networks that were smaller from the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from branches.base import recipe_of
from branches.describing import branch, describe
from papers.grids import below, stand_in, tabulated
from papers.measures import WEIGHTS
from papers.paper import Cell, Curve, Figure, Measure, Paper, Point, Scale, Study

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from branches.opened import Run
    from foundations.description import Description
    from training.description import TrainDesc

    Settings = dict[str, Any]

CRITERIA: Mapping[str, Settings] = {
    "Fisher": {"strategy": "fisher_activations", "track": "all"},
    "l1": {"strategy": "filter_l1"},
}
EVERY = 100
"""Batches between two cuts."""

REPLICATES = (1, 2, 3)
"""How many the paper has is not known here."""

TUNED, SCRATCH = "pruned and tuned", "from scratch"


@dataclass(frozen=True)
class Experiment:
    """A network, how it is cut, and smaller ones.

    Args:
        title: What it is.
        dense: Its training.
        cutting: How many cuts there are, and how it trains between them.
        cuts: The numbers of cuts at which it is looked at, and trained from scratch.
        reduced: By what is smaller, smaller networks: by their sizes, the networks' names.
        every: Batches between two cuts.
        replicates: Repetitions.
    """

    title: str
    dense: TrainDesc
    cutting: Settings
    cuts: tuple[int, ...]
    reduced: Mapping[str, Mapping[str, str]]
    every: int = EVERY
    replicates: tuple[int, ...] = REPLICATES

    def pruned(self, criterion: str) -> Description:
        """The run that loses channels by a criterion, from the end of training on."""
        return branch(
            self.dense,
            "interleaved",
            granularity="channels",
            coupling="inner",
            cut_units=1,
            prune_every=f"{self.every}it",
            state_step=recipe_of(self.dense).training.training_steps,
            **self.cutting,
            **CRITERIA[criterion],
        )

    def tuned(self, criterion: str, cuts: int) -> Description:
        """What trains on behind so many cuts as the pruned run does, up to its next one."""
        return branch(
            self.pruned(criterion),
            "finetune",
            state_step=self.step(cuts),
            finetune_training_steps=f"{self.every}it",
            finetune_lr=self.cutting["prune_lr"],
        )

    def scratch(self, criterion: str, cuts: int) -> Description:
        """What is left after so many cuts, trained from a new initialization."""
        return branch(
            self.pruned(criterion),
            "scratch",
            plain=True,
            as_dense=True,
            state_step=self.step(cuts),
        )

    def smaller(self, network: str) -> Description:
        """Another network, trained like this one."""
        return self.dense.replaced(model_name=network)

    def step(self, cuts: int) -> str:
        """Where so many cuts have been made."""
        return f"{cuts * self.every}it"


def wide_resnet(scale: Scale) -> Experiment:
    """WRN-40-2."""
    if scale is Scale.SMOKE:
        return _smoke("WRN-40-2", "cifar_wide_resnet_40_2", "cifar_wide_resnet_10_0.5", _TINY_WIDE)
    name = "cifar_wide_resnet"
    return Experiment(
        title="WRN-40-2 on CIFAR-10",
        dense=describe(f"{name}_40_2"),
        cutting={"prune_iterations": 1300, "prune_lr": 8e-4},
        cuts=tuple(range(100, 1301, 100)),
        reduced={
            "depth": {str(depth): f"{name}_{depth}_2" for depth in (34, 28, 22, 16, 10)},
            "width": {width: f"{name}_40_{width}" for width in ("1.5", "1", "0.5")},
            "bottleneck": {z: f"{name}_40_2_bottle_{z}" for z in ("0.75", "0.5", "0.25")},
        },
    )


def densenet(scale: Scale) -> Experiment:
    """DenseNet-BC-100, of growth 12."""
    if scale is Scale.SMOKE:
        return _smoke(
            "DenseNet-BC-100", "cifar_densenet_bc_100_12", "cifar_densenet_bc_10_6", _TINY_DENSE
        )
    name = "cifar_densenet_bc"
    cutting: Settings = {
        "prune_iterations": 2600,
        "prune_lr": 1e-3,
        "interleaved_weight_decay": 1e-4,
    }
    return Experiment(
        title="DenseNet-BC-100 (k = 12) on CIFAR-10",
        dense=describe(f"{name}_100_12"),
        cutting=cutting,
        cuts=tuple(range(200, 2301, 300)),
        reduced={
            "depth": {str(depth): f"{name}_{depth}_12" for depth in (82, 64, 40, 22)},
            "growth": {str(growth): f"{name}_100_{growth}" for growth in (9, 6, 3)},
            "bottleneck": {z: f"{name}_100_12_bottle_{z}" for z in ("0.75", "0.5", "0.25")},
        },
    )


_TINY_WIDE = {
    "width": {"0.25": "cifar_wide_resnet_10_0.25"},
    "bottleneck": {"0.5": "cifar_wide_resnet_10_0.5_bottle_0.5"},
}
_TINY_DENSE = {
    "growth": {"3": "cifar_densenet_bc_10_3"},
    "bottleneck": {"0.5": "cifar_densenet_bc_10_6_bottle_0.5"},
}


def _smoke(
    stands_for: str, preset: str, network: str, reduced: Mapping[str, Mapping[str, str]]
) -> Experiment:
    """The same of a small network on digits."""
    times: Settings = {"training_steps": "3ep", "milestone_steps": "2ep", "batch_size": 128}
    return Experiment(
        title=f"{network} in place of {stands_for}, on digits",
        dense=stand_in(preset, network, **times),
        cutting={"prune_iterations": 10, "prune_lr": 8e-4},
        cuts=(5, 10),
        reduced=reduced,
        every=4,
        replicates=(1,),
    )


def error_of(run: Run) -> float | None:
    """What test accuracy lacks of 1."""
    return None if run.accuracy is None else 1 - run.accuracy


ERROR = Measure("test error", error_of, factor=100, digits=2, unit="%")


def errors(make: Callable[[Scale], Experiment], scale: Scale) -> Study:
    """Error and size on the way down, trained anew, and of what was smaller from the beginning."""
    experiment = make(scale)
    cells = [*_row("unpruned", experiment.dense, {SCRATCH: experiment.dense})]
    for criterion in CRITERIA:
        for cuts in experiment.cuts:
            tuned, scratch = experiment.tuned(criterion, cuts), experiment.scratch(criterion, cuts)
            row = f"{criterion}, {cuts:,} channels cut"
            cells += _row(row, scratch, {TUNED: tuned, SCRATCH: scratch})
    for what, networks in experiment.reduced.items():
        for size, network in networks.items():
            run = experiment.smaller(network)
            cells += _row(f"{what} {size}", run, {SCRATCH: run})
    table = tabulated(
        f"{experiment.title}: weights, and test error",
        "network",
        cells,
        ("weights", TUNED, SCRATCH),
    )
    return Study(table, (_figure(experiment),), experiment.replicates, notes=(NOTE, *below(scale)))


def _row(
    row: str, sized: Description, measured: Mapping[str, Description]
) -> list[tuple[str, str, Cell]]:
    """How large a network is, and its error, trained in one way or two."""
    errors = [(row, column, Cell(run, ERROR)) for column, run in measured.items()]
    return [(row, "weights", Cell(sized, WEIGHTS)), *errors]


def _figure(experiment: Experiment) -> Figure:
    """Error over weights; all lines begin with the network itself."""
    ways = {TUNED: experiment.tuned, SCRATCH: experiment.scratch}
    runs = {
        **{
            f"{criterion}, {name}": [way(criterion, cuts) for cuts in experiment.cuts]
            for criterion in CRITERIA
            for name, way in ways.items()
        },
        **{
            f"reduced {what}": [experiment.smaller(network) for network in networks.values()]
            for what, networks in experiment.reduced.items()
        },
    }
    curves = tuple(
        Curve(label, tuple(map(Point, (experiment.dense, *smaller))))
        for label, smaller in runs.items()
    )
    return Figure("figure", experiment.title, WEIGHTS, ERROR, curves)


NOTE = (
    "Weights are those of convolutions and linear layers on a path from image to output; biases "
    "and norms, which the paper counts too, are about one in a hundred more. Pruned and tuned is "
    "measured one round of training behind the cut, as the published files are. The l1 norm is the "
    "true one: the published code sums weights with their signs. It also pads and normalizes "
    "images otherwise while it prunes, which is not done here; and networks "
    "that are scaled from a pruned one have no name here. How many replicates there are in the "
    "paper is not known here."
)

PAPER = Paper(
    name="nip_it_in_the_bud",
    title="Pruning neural networks: is it time to nip it in the bud?",
    citation="Crowley, Turner, Storkey and O'Boyle, arXiv:1810.04622.",
    studies={
        "wide_resnet": partial(errors, wide_resnet),
        "densenet": partial(errors, densenet),
    },
)
