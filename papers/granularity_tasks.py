"""What the granularity paper prunes: networks, units, criteria, rounds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from branches.describing import branch, describe
from branches.lineages import iterative
from branches.lottery_rewind import LotteryRewind
from papers.grids import stand_in
from papers.paper import Scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from foundations.description import Description
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

RESNET_ALLOCATIONS = {"none": "global", "by_res_type": "stages", "all": "uniform"}
"""By the values of ``--prune_by_layer`` of the code."""

RANDOM_AT = 0.85
"""The accuracy of random pruning for whose rates the abstract says how accurate criteria are."""

BEST_THERE = {"weights": 0.90, "kernels": 0.865, "channels": 0.855}
"""How accurate, with the best criterion of each granularity, on CIFAR-10."""


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
    dense = stand_in("mnist_dbsn", "mnist_dbsn_40_20", training_steps="60it", lr=0.005)
    return _smoke(Task("A small network in place of DBSN, on digits", dense, chosen, layers))


def resnet20(scale: Scale, *, dataset: str = "cifar10") -> Task:
    """ResNet-20 on CIFAR-10 or CIFAR-100."""
    made = _resnet(dataset) if scale is Scale.FULL else _small_resnet()
    return replace(made, published=BEST_THERE if dataset == "cifar10" else {})


def _resnet(dataset: str) -> Task:
    """As published."""
    changed: Settings = {"dataset_name": dataset, "normalize": dataset}
    dense = describe("granularity_resnet_20", **({} if dataset == "cifar10" else changed))
    title = f"ResNet-20 on {dataset.upper().replace('CIFAR', 'CIFAR-')}"
    layers = ("fc", "blocks.3.shortcut", "blocks.6.shortcut")
    return Task(title, dense, _units(layers), RESNET_ALLOCATIONS)


def _small_resnet() -> Task:
    """A block a stage, on digits."""
    times: Settings = {
        "training_steps": "40it",
        "warmup_steps": "10it",
        "milestone_steps": "30it,35it",
        "lr": 0.1,
    }
    dense = stand_in("granularity_resnet_8", "cifar_resnet_8_4", **times)
    layers = ("fc", "blocks.1.shortcut", "blocks.2.shortcut")
    title = "A small network in place of ResNet-20, on digits"
    return _smoke(Task(title, dense, _units(layers), RESNET_ALLOCATIONS))


def _units(ignored: tuple[str, ...]) -> dict[str, Settings]:
    """How units of a ResNet are cut; channels behind the activation, as gates.

    Args:
        ignored: What the code never prunes: the output layer, and shortcuts that have weights.
    """
    return {
        "weights": {"granularity": "weights", "layers_to_ignore": ignored},
        "kernels": {"granularity": "kernels", "layers_to_ignore": ignored},
        "channels": {"granularity": "gates"},
    }


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
