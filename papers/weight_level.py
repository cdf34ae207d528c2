"""Weights of convolutions cut after training, or filters, and ways to train what is left.

What "Learning both Weights and Connections" (Han et al. 2015) does, as in "Rethinking the Value of
Network Pruning" (Liu et al. 2019), which trains the pruned network from scratch too, and in "Paying
more Attention to Snapshots of Iterative Pruning" (Le et al. 2020), whose ensembles of snapshots
teach it; and there too, what "Pruning Filters for Efficient ConvNets" (Li et al. 2017) does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from branches.base import recipe_of
from branches.describing import branch, describe
from branches.lineages import cut_after_training, cut_and_finetuned, iterative_finetuned
from branches.lottery_rewind import LotteryRewind
from papers.grids import below, stand_in, tabulated
from papers.measures import ACCURACY, KEPT, OPERATIONS, WEIGHTS, WEIGHTS_LEFT, percentage
from papers.paper import (
    Baseline,
    Cell,
    Curve,
    Figure,
    Paper,
    Point,
    Published,
    Scale,
    Study,
)
from papers.weight_level_networks import (
    CUT_ONCE,
    DATASETS,
    FILTER_NETWORKS,
    IMAGENET,
    IMAGENET_NETWORKS,
    PRERESNET_110,
    PRERESNET_164,
    RESNET_56,
    SNAPSHOT_NETWORKS,
    LayerPlan,
    Network,
    in_blocks,
)
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from branches.finetune import Finetune
    from foundations.description import Description
    from papers.paper import Measure
    from papers.weight_level_networks import Results
    from training.description import TrainDesc

    Settings = dict[str, Any]
    Steps = Callable[..., tuple[Description, ...]]

PERCENTS = (0.3, 0.6, 0.8, 0.95)
"""The first two are those of published commands, the last that to which VGG-16 goes in steps."""

FILTER_STEPS = 5
"""Not published; it is with five that what is left is what was published."""

ONE_CYCLE: Settings = {
    "finetune_lr_schedule": "one_cycle",
    "finetune_lr": 0.1,
    "finetune_one_cycle_div_factor": 10,
    "finetune_one_cycle_warmup_fraction": 0.1,
    "finetune_one_cycle_final_div_factor": 100,
}
TAUGHT: Settings = {"distill_mean": "examples_and_classes"}
"""As the code of Le et al., whose loss is so much smaller beside weight decay."""

REPLICATES: tuple[int, ...] = (1, 2, 3, 4, 5)
"""Published numbers are averages of five runs, say the authors (issue 9 of their code)."""

FINE_TUNED, CYCLED, DISTILLED = "fine-tuned", "one-cycle", "distilled"
SCRATCH_E, SCRATCH_B = "scratch E", "scratch B"


@dataclass(frozen=True)
class Experiment:
    """A network on a data set, and how what is left of it trains.

    Args:
        network: Which.
        dense: Its training.
        not_pruned: As in ``Network``.
        plan: Likewise.
        filter_plan: Likewise.
        filter_steps: In how many steps filters are cut.
        percents: What is cut at once.
        training_steps: How long fine-tuning and teaching train.
        replicates: Repetitions.
    """

    network: Network
    dense: TrainDesc
    not_pruned: tuple[str, ...]
    plan: tuple[float, ...]
    filter_plan: tuple[LayerPlan, ...]
    filter_steps: int = FILTER_STEPS
    percents: tuple[float, ...] = PERCENTS
    training_steps: str = "40ep"
    replicates: tuple[int, ...] = REPLICATES

    @classmethod
    def of(cls, network: Network, dataset: str, scale: Scale) -> Experiment:
        """The experiment at a scale; at that of smoke, a small ResNet stands in for each."""
        if scale is Scale.FULL:
            dense = describe(network.preset, dataset_name=dataset)
            return cls(network, dense, network.not_pruned, network.plan, network.filter_plan)
        # One recipe for all on CIFAR, so that they share their runs; ImageNet's measure more.
        preset = network.preset if dataset == "imagenet" else RESNET_56.preset
        times: Settings = {"training_steps": "3ep", "milestone_steps": "2ep"}
        dense = stand_in(preset, "cifar_resnet_8_4_a", **times)
        percents = (0.3, 0.6)
        return cls(
            network,
            dense,
            not_pruned=("fc",),
            plan=percents,
            filter_plan=in_blocks(1, 4),
            filter_steps=len(percents),
            percents=percents,
            training_steps="1ep",
            replicates=(1,),
        )

    @property
    def title(self) -> str:
        """The network."""
        stands = self.dense.recipe.model.model_name
        own = stands == self.network.preset
        return self.network.title if own else f"{stands} in place of {self.network.title}"

    @property
    def data(self) -> str:
        """The data set."""
        return recipe_of(self.dense).dataset.dataset_name

    def cut(self, percent: float) -> Description:
        """The end of training with a part cut off, which trains no more."""
        return cut_after_training(
            self.dense, prune_fraction=percent, layers_to_ignore=self.not_pruned
        )

    def ways(self, percent: float) -> dict[str, Description]:
        """What is left after a cut, trained in every way."""
        cut, steps = self.cut(percent), self.training_steps
        return {
            FINE_TUNED: branch(cut, "finetune", finetune_training_steps=steps),
            CYCLED: branch(cut, "finetune", finetune_training_steps=steps, **ONE_CYCLE),
            DISTILLED: self.taught(cut, (self.dense,)),
            SCRATCH_E: branch(cut, "scratch"),
            SCRATCH_B: branch(cut, "scratch", budget="flops"),
        }

    def cut_weights(self, **tuning: Any) -> tuple[Description, ...]:  # noqa: ANN401 - as the fields are
        """Cut and fine-tuned by the plan, in turns, the dense run first."""
        last = LotteryRewind(
            schedule="explicit", prune_fractions=self.plan, layers_to_ignore=self.not_pruned
        )
        return iterative_finetuned(self.dense, last, len(self.plan), self._tuning(tuning))

    def cut_filters(self, **tuning: Any) -> tuple[Description, ...]:  # noqa: ANN401 - as above
        """Filters cut and what is left fine-tuned, in turns, the dense run first."""
        cuts: list[Settings] = [
            {
                "granularity": "channels",
                "coupling": "inner",
                "reduction": "abs_sum",
                "allocation": "explicit",
                "layer_fractions": ",".join(
                    f"{plan.layer}={plan.cut(step)}" for plan in self.filter_plan
                ),
                "prune_fraction_of": "all",
            }
            for step in range(1, self.filter_steps + 1)
        ]
        return cut_and_finetuned(self.dense, cuts, self._tuning(tuning))

    def _tuning(self, settings: Settings) -> Finetune:
        settings = {"finetune_training_steps": self.training_steps, **settings}
        return cast("Finetune", branch(self.dense, "finetune", **settings).branch)

    def snapshots(self, steps: Steps) -> dict[str, Description]:
        """The last of several steps: fine-tuned in two ways, or taught by all that came before."""
        cycled = steps(**ONE_CYCLE)
        taught = self.taught(cycled[-2], cycled[::2])
        return {FINE_TUNED: steps()[-1], CYCLED: cycled[-1], DISTILLED: taught}

    def taught(self, cut: Description, teachers: tuple[Description, ...]) -> Description:
        """What is left after a cut, taught by other networks."""
        steps = self.training_steps
        return branch(cut, "distill", teachers=teachers, distill_training_steps=steps, **TAUGHT)


@dataclass(frozen=True)
class StepByStep:
    """A way to cut step by step, and what is published of it.

    Args:
        title: What is done.
        networks: To which.
        steps: The runs of an experiment, which fine-tune as they are told.
        results: What is published of a network.
        measures: Of its sizes.
        note: What is cut.
    """

    title: str
    networks: tuple[Network, ...]
    steps: Callable[..., tuple[Description, ...]]
    results: Callable[[Network], Results]
    measures: tuple[Measure, ...]
    note: str


def baselines(scale: Scale) -> Study:
    """The networks before anything is cut."""
    cells = []
    replicates = REPLICATES
    for network in (*SNAPSHOT_NETWORKS, PRERESNET_110, PRERESNET_164):
        for dataset in DATASETS:
            experiment = Experiment.of(network, dataset, scale)
            replicates = experiment.replicates
            cell = Cell(experiment.dense, ACCURACY, network.baseline.get(dataset))
            cells.append((experiment.title, dataset, cell))
    return Study(
        tabulated("Unpruned networks", "network", cells),
        (),
        replicates,
        notes=(DENSE_NOTE, *below(scale)),
    )


def percents(dataset: str, scale: Scale) -> Study:
    """What is left of each network after one cut, trained in five ways."""
    experiments = [Experiment.of(network, dataset, scale) for network in CUT_ONCE]
    cells = [
        (f"{experiment.title}, {100 * percent:g} %", way, Cell(run, ACCURACY))
        for experiment in experiments
        for percent in experiment.percents
        for way, run in experiment.ways(percent).items()
    ]
    title = f"Weights of convolutions cut once, on {experiments[0].data}"
    figures = tuple(map(_figure, experiments))
    return Study(
        tabulated(title, "network, cut", cells),
        figures,
        experiments[0].replicates,
        notes=(WEIGHTS_NOTE, WAYS_NOTE, SCRATCH_NOTE, *below(scale)),
    )


def snapshots(way: StepByStep, dataset: str, scale: Scale) -> Study:
    """What is left after steps of cutting and fine-tuning, beside the published table."""
    experiments = [Experiment.of(network, dataset, scale) for network in way.networks]
    cells = []
    for experiment in experiments:
        runs = experiment.snapshots(partial(way.steps, experiment))
        results = way.results(experiment.network)
        for (name, run), value in zip(runs.items(), results.accuracies[dataset], strict=True):
            cells.append((experiment.title, name, Cell(run, ACCURACY, value)))
        for measure, size in zip(way.measures, results.sizes, strict=True):
            published = size if dataset == DATASETS[0] else None
            cell = Cell(runs[DISTILLED], measure, published)
            cells.append((experiment.title, measure.name, cell))
    return Study(
        tabulated(f"{way.title}, on {experiments[0].data}", "network", cells),
        (),
        experiments[0].replicates,
        notes=(way.note, WAYS_NOTE, DENSE_NOTE, SIZE_NOTE, *below(scale)),
    )


def imagenet(scale: Scale) -> Study:
    """On ImageNet, fine-tuned and from scratch."""
    cells = []
    for name, (preset, layers, published) in IMAGENET_NETWORKS.items():
        experiment = _on_imagenet(name, preset, layers, scale)
        for percent, numbers in published.items():
            ways = experiment.ways(percent)
            for way, (top1, top5) in zip((FINE_TUNED, SCRATCH_E, SCRATCH_B), numbers, strict=True):
                row = f"{experiment.title}, {100 * percent:g} %, {way}"
                for value, measure in ((top1, ACCURACY), (top5, TOP_5)):
                    number = Published(round(value / 100, 6), where=IMAGENET)
                    cells.append((row, measure.name, Cell(ways[way], measure, number)))
    table = tabulated("Weights of convolutions cut once, on ImageNet", "network, cut", cells)
    return Study(table, (), (1,), RunOptions(top_k=(5,)), (IMAGENET_NOTE, *below(scale)))


def _on_imagenet(title: str, preset: str, layers: tuple[str, ...], scale: Scale) -> Experiment:
    """An experiment whose fine-tuning is shorter."""
    made = Experiment.of(Network(title, preset, layers), "imagenet", scale)
    return replace(made, training_steps="10ep") if scale is Scale.FULL else made


def _figure(experiment: Experiment) -> Figure:
    """Accuracy over the weights that are left."""
    ways = [experiment.ways(percent) for percent in experiment.percents]
    curves = tuple(Curve(way, tuple(Point(each[way]) for each in ways)) for way in ways[0])
    return Figure(
        experiment.network.preset,
        experiment.title,
        x=WEIGHTS_LEFT,
        y=ACCURACY,
        curves=curves,
        baselines=(Baseline("unpruned", experiment.dense),),
        falling_x=True,
    )


TOP_5 = percentage("test top5")

WEIGHTS_NOTE = "Cut are weights of convolutions, of all layers together."
WAYS_NOTE = (
    "Fine-tuned: 40 epochs at 0.001. One-cycle: 40 epochs of SGD, up to 0.1. Distilled: 40 epochs "
    "of Adam, taught by the unpruned network, or where there are steps, by all of them."
)
SCRATCH_NOTE = (
    "Scratch E trains for as many epochs as the unpruned network, B for as many operations."
)
DENSE_NOTE = (
    "The unpruned networks are trained by the recipe of the weight-level code (160 epochs); the "
    "code of the published table has 300 epochs too."
)
SIZE_NOTE = "Published numbers of weights are of all parameters, those here of layers alone."
FILTER_NOTE = (
    "Cut are the filters with the smallest sums of absolute weights, of layers to which nothing is "
    "added: in each step a tenth, a fifth and three tenths of those that are left in the stages of "
    "residual networks, but for a few blocks, and a quarter in seven layers of VGG-16, as the same "
    "authors' code of filter pruning has it. How many steps there are is not published: at full "
    "scale five, with which four of the five published sizes come out, and all operations. (The "
    "fifth, 0.39 M of ResNet-110, comes out with 100 classes.) Published operations are the ratio "
    "of numbers with two digits, in billions, and of all layers."
)
IMAGENET_NOTE = (
    "Unpruned networks are trained here by torchvision's recipe; the published ones are "
    "torchvision's own weights, which are taken to be those of VGG-16 with batch norm."
)

STEP_BY_STEP = {
    "snapshots": StepByStep(
        "Cut step by step",
        SNAPSHOT_NETWORKS,
        Experiment.cut_weights,
        lambda network: network.unstructured,
        (KEPT,),
        WEIGHTS_NOTE,
    ),
    "filters": StepByStep(
        "Filters cut step by step",
        FILTER_NETWORKS,
        Experiment.cut_filters,
        lambda network: network.structured,
        (replace(WEIGHTS, digits=2), OPERATIONS),
        FILTER_NOTE,
    ),
}
"""By the first word of the table."""

PAPER = Paper(
    name="weight_level",
    title="Weight-level pruning: Rethinking the Value of Network Pruning; Snapshots of Pruning",
    citation="Han et al., NIPS 2015; Li et al., ICLR 2017; Liu et al., ICLR 2019; Le et al. 2020.",
    studies={
        "baselines": baselines,
        **{dataset: partial(percents, dataset) for dataset in DATASETS},
        **{
            f"{name}_{dataset}": partial(snapshots, way, dataset)
            for name, way in STEP_BY_STEP.items()
            for dataset in DATASETS
        },
        "imagenet": imagenet,
    },
)
