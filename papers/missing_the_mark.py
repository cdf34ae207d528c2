"""Pruning at initialization: six strategies, pruning after training, and what the masks are worth.

"Pruning Neural Networks at Initialization: Why Are We Missing the Mark?" (Frankle et al. 2021).
Every method is pruned to the sparsities 1 - 0.8^k and trained. The ablations ask what of a method
counts: its mask shuffled within layers, its mask on new initial weights, its scores inverted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from branches.base import recipe_of
from branches.describing import branch, describe
from papers.grids import below
from papers.measures import ACCURACY, COMPRESSION, SPARSITY
from papers.paper import Baseline, Cell, Curve, Figure, Paper, Point, Scale, Study, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from foundations.description import Description

    Flags = dict[str, Any]
    Columns = Mapping[str, Callable[[float], Description]]

LOTTERY, LEARNING_RATE = "lottery ticket rewinding", "learning rate rewinding"
"""Magnitude pruning after training: weights and learning rate go back, or the latter alone."""

AS_IT_IS = "as it is"
_ABLATIONS = ("shuffled", "reinitialized", "inverted")


@dataclass(frozen=True)
class Experiment:
    """A network and what is done to it.

    Args:
        network: The preset.
        levels: The k of the sparsities 1 - 0.8^k.
        changed: Flags of training that are not the preset's.
        examples: SNIP and GraSP score on so many examples of each class.
        rounds: In how many rounds SynFlow prunes.
        rewinding_steps: To which step lottery ticket rewinding goes back.
        replicates: How many repetitions there are.
        notes: Lines below its tables.
    """

    network: str
    levels: tuple[int, ...]
    changed: Mapping[str, Any] = field(default_factory=dict)
    examples: int = 10
    rounds: int = 100
    rewinding_steps: str = "1000it"
    replicates: int = 3
    notes: tuple[str, ...] = ()

    @cached_property
    def dense(self) -> Description:
        """The network that is pruned."""
        return describe(self.network, **self.changed)

    @property
    def fractions(self) -> tuple[float, ...]:
        """The sparsities."""
        return tuple(1 - 0.8**level for level in self.levels)

    @property
    def strategies(self) -> dict[str, Flags]:
        """What ``oneshot`` is told for each strategy at initialization, but for the sparsity."""
        grasp = f"grasp{self.examples}"
        return {
            "random": {"strategy": "random"},
            "magnitude": {"strategy": "magnitude"},
            f"snip{self.examples}": {"strategy": f"snip{self.examples}"},
            grasp: {"strategy": grasp, "prune_highest": True},
            f"graspabs{self.examples}": {"strategy": f"graspabs{self.examples}"},
            "synflow": {"strategy": "synflow", "prune_iterations": self.rounds},
        }

    @property
    def after_training(self) -> dict[str, Flags]:
        """The same at the end of training, from whose weights training begins anew."""
        end = recipe_of(self.dense).training.training_steps
        later = {"prune_step": end, "state_step": end}
        return {name: {**flags, **later} for name, flags in self.strategies.items()}

    @property
    def methods(self) -> dict[str, Flags]:
        """The strategies at initialization, and magnitude after training."""
        back, after = self.rewinding_steps, self.after_training["magnitude"]
        rewound = {**after, "state_step": back, "start_step": back}
        return {**self.strategies, LOTTERY: rewound, LEARNING_RATE: after}

    def pruned(self, flags: Flags, fraction: float) -> Description:
        """A method at a sparsity; at none, the dense network."""
        if not fraction:
            return self.dense
        return branch(self.dense, "oneshot", prune_fraction=fraction, **flags)


def ablated(flags: Flags, ablation: str) -> Flags:
    """What ``oneshot`` is told for an ablation of a method.

    New initial weights are trained from the beginning, wherever the method's own go back to.
    """
    if ablation == "shuffled":
        return {**flags, "randomize_layerwise": True}
    if ablation == "inverted":
        return {**flags, "prune_highest": not flags.get("prune_highest", False)}
    old = ("state_step", "start_step")
    return {name: flag for name, flag in flags.items() if name not in old} | {"reinitialize": True}


def accuracies(chosen: Experiment) -> Study:
    """The accuracy of every method at every sparsity."""
    return _compared(chosen, chosen.methods, f"{chosen.network}, pruned and trained")


def after_training(chosen: Experiment) -> Study:
    """The accuracy of every strategy when it scores the end of training."""
    title = f"{chosen.network}, pruned after training and trained again from there"
    return _compared(chosen, chosen.after_training, title)


def ablations(chosen: Experiment) -> Study:
    """The accuracy of every method, beside that of its ablations."""
    return _taken_apart(chosen, chosen.methods, f"{chosen.network}, ablations")


def ablations_after_training(chosen: Experiment) -> Study:
    """The same of every strategy when it scores the end of training."""
    title = f"{chosen.network}, pruned after training, ablations"
    return _taken_apart(chosen, chosen.after_training, title)


def _at(
    make: Callable[[Experiment], Study], full: Experiment, smoke: Experiment, scale: Scale
) -> Study:
    """What is made of the network as published, or of the one that stands in for it."""
    return make(full if scale is Scale.FULL else smoke)


def percent(fraction: float) -> str:
    """A sparsity as rows say it: ``48.8 %``."""
    return f"{100 * fraction:.1f} %"


def _taken_apart(chosen: Experiment, given: dict[str, Flags], title: str) -> Study:
    """A row for each method, but for the random one, at each sparsity; a column an ablation."""
    methods = {name: _variants(chosen, flags) for name, flags in given.items() if name != "random"}
    rows = {
        f"{name}, {percent(fraction)}": (variants, fraction)
        for name, variants in methods.items()
        for fraction in chosen.fractions
    }
    table = Table(
        title=title,
        corner="method, sparsity",
        rows=tuple(rows),
        columns=(AS_IT_IS, *_ABLATIONS),
        cells={
            (row, column): Cell(run(fraction), ACCURACY)
            for row, (variants, fraction) in rows.items()
            for column, run in variants.items()
        },
    )
    figures = [
        figure
        for name, variants in methods.items()
        for figure in _figures(chosen, f"{title}: {name}", f"figure_{_file(name)}", variants)
    ]
    return _study(chosen, table, figures)


def _compared(chosen: Experiment, methods: dict[str, Flags], title: str) -> Study:
    """A row for each sparsity, none of all first, and a column for each method."""
    columns = {name: partial(chosen.pruned, flags) for name, flags in methods.items()}
    rows = {percent(fraction): fraction for fraction in (0.0, *chosen.fractions)}
    table = Table(
        title=title,
        corner="sparsity",
        rows=tuple(rows),
        columns=tuple(columns),
        cells={
            (row, name): Cell(run(fraction), ACCURACY)
            for row, fraction in rows.items()
            for name, run in columns.items()
        },
    )
    return _study(chosen, table, _figures(chosen, title, "figure", columns))


def _variants(chosen: Experiment, flags: Flags) -> dict[str, Callable[[float], Description]]:
    """A method as it is, and its ablations."""
    each = {name: ablated(flags, name) for name in _ABLATIONS}
    return {name: partial(chosen.pruned, own) for name, own in {AS_IT_IS: flags, **each}.items()}


def _figures(chosen: Experiment, title: str, name: str, columns: Columns) -> list[Figure]:
    """Accuracy against sparsity, and against compression."""
    curves = tuple(
        Curve(column, tuple(Point(run(fraction)) for fraction in chosen.fractions))
        for column, run in columns.items()
    )
    make = partial(
        Figure, title=title, y=ACCURACY, curves=curves, baselines=(Baseline("dense", chosen.dense),)
    )
    return [
        make(name=name, x=SPARSITY),
        make(name=f"{name}_compression", x=COMPRESSION, log_x=True),
    ]


def _study(chosen: Experiment, table: Table, figures: list[Figure]) -> Study:
    return Study(
        table=table,
        figures=tuple(figures),
        replicates=tuple(range(1, chosen.replicates + 1)),
        notes=(_note(chosen), *chosen.notes),
    )


def _note(chosen: Experiment) -> str:
    return (
        f"SNIP and GraSP score on {chosen.examples} examples of each class, SynFlow prunes in "
        f"{chosen.rounds} rounds, lottery ticket rewinding goes back to {chosen.rewinding_steps}; "
        "GraSP cuts the highest scores, graspabs the lowest absolute ones."
    )


def _file(name: str) -> str:
    return name.replace(" ", "_")


def _smoke(network: str) -> Experiment:
    """The same experiment on hand-written digits."""
    return Experiment(
        network,
        levels=(3, 7),
        changed={"training_steps": "3ep"},
        rounds=5,
        rewinding_steps="5it",
        replicates=1,
        notes=below(Scale.SMOKE),
    )


_FEW, _MANY = tuple(range(1, 19)), tuple(range(2, 29, 2))
_PAIRS = {
    "resnet20": (Experiment("cifar_resnet_20", _FEW), _smoke("digits_lenet_16")),
    "vgg16": (Experiment("cifar_vgg_16", _MANY), _smoke("digits_lenet_24_16")),
    "resnet18": (Experiment("tinyimagenet_resnet_18", _FEW), _smoke("digits_lenet_16_16")),
    "resnet50": (Experiment("imagenet_resnet_50", _FEW), _smoke("digits_lenet_24_16_16")),
}
"""By table: the network as published, and the one that stands in for it."""

_KINDS: dict[str, Callable[[Experiment], Study]] = {
    "": accuracies,
    "_after_training": after_training,
    "_ablations": ablations,
    "_after_training_ablations": ablations_after_training,
}
"""What is shown of each network, by how the names of tables end."""

PAPER = Paper(
    name="missing_the_mark",
    title="Pruning Neural Networks at Initialization: Why Are We Missing the Mark?",
    citation="Frankle, Dziugaite, Roy and Carbin, ICLR 2021.",
    studies={
        f"{name}{suffix}": partial(_at, make, *pair)
        for suffix, make in _KINDS.items()
        for name, pair in _PAIRS.items()
    },
)
