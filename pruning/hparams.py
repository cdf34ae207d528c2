"""The hyperparameters of pruning: one field for each choice. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foundations.errors import check_known
from foundations.hparams import Hparams
from pruning.choices import ALLOCATIONS, GRANULARITIES, REDUCTIONS, SCHEDULES, SELECTIONS
from pruning.layers import parse_fractions, parse_groups
from pruning.strategies import parse_strategy

if TYPE_CHECKING:
    from foundations.registry import Registry, Version

CONVENTIONS = ("remaining", "all", "kept")
MODES = ("train", "eval")
PRECISIONS = ("float32", "float64")
COUPLINGS = ("grouped", "inner", "independent")

_COUNTED = ("explicit", "matched")
"""Allocations from whose counts it follows how much is cut in all."""

_TRUNCATED = ("gradient_flow_truncated", "gradient_flow_percents")
"""Schedules that do not end where they are told to, but for rounding."""

_CONVENTIONS_OF = {
    "published_threshold": ("remaining",),
    "published_threshold_floor": ("remaining", "all"),
}
"""By selection: what its fraction may be a fraction of."""

_CHOICES: dict[str, Registry[Any]] = {
    "granularity": GRANULARITIES,
    "allocation": ALLOCATIONS,
    "schedule": SCHEDULES,
    "selection": SELECTIONS,
}


_BELONGS = {"coupling": ("channels", "nodes"), "block_shape": ("blocks",), "n_m": ("n_m",)}
"""Which granularities each of these is for; one of a user's own may use them too."""

_OWN = ("weights", "kernels", "channels", "nodes", "gates", "blocks", "n_m")


@dataclass(frozen=True, kw_only=True)
class PruningHparams(Hparams):
    """How a network is pruned: schedule x allocation x granularity x reduction x criterion."""

    strategy: str = "magnitude"
    """How weights are scored: random, magnitude, snipN, graspN, graspabsN (N examples of each
    class), synflow, and more: see the README."""

    prune_fraction: float = 0.8
    """The fraction of the prunable weights that is cut; of those that are left, where the parent
    is pruned already, unless --prune_fraction_of says otherwise."""

    prune_fraction_of: str = "remaining"
    """What prune_fraction is a fraction of: remaining (of what the parent keeps), all (of all there
    are, those cut before included), or kept (the fraction of all that is kept, not cut)."""

    prune_highest: bool = False
    """Cut the weights with the highest scores, not the lowest."""

    prune_iterations: int = 1
    """In how many rounds to prune; each cuts the same fraction of what remains, unless --schedule
    says otherwise. --schedule=explicit has as many rounds as fractions."""

    schedule: str = "geometric"
    """How much each round cuts: geometric (the same fraction of what remains), linear (as many),
    cubic or gradient_flow (more at first), gradient_flow_truncated or gradient_flow_percents (its
    published roundings), or explicit (then --prune_fractions says it)."""

    prune_fractions: tuple[float, ...] = ()
    """The cumulative fractions of --schedule=explicit, a round each, as --prune_fraction_of has it;
    the last stands for --prune_fraction: .5,.75,.9."""

    granularity: str = "weights"
    """What is kept or cut as one: weights, kernels, channels, nodes, gates, blocks or n_m."""

    coupling: str = "grouped"
    """Which channels are cut together: grouped (with all that are added to them), inner (only
    channels that one layer makes and one reads are cut, as inside a block) or independent."""

    block_shape: tuple[int, ...] = (4, 4)
    """The rows and columns of a block, for --granularity=blocks."""

    n_m: tuple[int, ...] = (2, 4)
    """How many of how many neighbours are kept, for --granularity=n_m."""

    reduction: str | None = None
    """How scores of weights become the score of a kernel, channel or node: mean, sum, l2, max,
    abs_sum or signed_sum; by default the mean, or what the strategy stands for."""

    allocation: str = "global"
    """How many of each layer: global (all layers compete), uniform (the same density in each),
    erk (small layers keep more), groups (of --layer_groups, the same density in each), stages
    (likewise, of stem, inner and outer convolutions of residual networks), explicit
    (--layer_fractions) or matched (the counts of --match_run)."""

    layer_groups: str | None = None
    """Groups of layers that compete among themselves, by the beginnings of their names:
    'conv+blocks.0;blocks.1;fc'. Every layer that is not ignored is in one."""

    layer_fractions: str | None = None
    """The fraction that is cut of each layer, as --prune_fraction_of has it, by the beginnings of
    names: 'conv=.2,blocks=.9'. It stands for --prune_fraction; other layers keep all they have."""

    layers_to_ignore: tuple[str, ...] = ()
    """Layers that are not pruned: fc.weight, or the beginnings of names of several."""

    minimum_kept: int = 0
    """How many (weights, kernels, channels) every layer keeps at least; by default none."""

    minimum_fraction: float = 0.0
    """The fraction that every layer keeps at least; by default none."""

    selection: str = "exact"
    """How the count is met: exact (ties by position), published_threshold (all up to the n-th
    score, as OpenLTH does: one more, and all ties) or published_threshold_floor (likewise, with n
    rounded down, as in weight-level pruning)."""

    score_per_class: int | None = None
    """How many examples of each class are scored on; by default what the strategy stands for."""

    score_examples: int | None = None
    """How many examples are scored on, of all classes together."""

    score_batches: int | None = None
    """How many batches of the training data are scored on."""

    score_batch_size: int | None = None
    """The size of the batches of scoring; by default that of training."""

    score_mode: str | None = None
    """The mode of the network while it is scored: train (batch norm takes the batch's statistics)
    or eval; by default what the strategy stands for."""

    score_temperature: float | None = None
    """What logits are divided by in the loss of scoring; by default what the strategy says."""

    score_precision: str | None = None
    """The arithmetic of scoring: float32 or float64; by default what the strategy says."""

    score_augmented: bool | None = None
    """Score on augmented examples; by default what the strategy stands for."""

    score_distance: bool = False
    """Multiply the score by the weight's distance from where the run began to train."""

    stat_alpha: float = 1.0
    """The alpha of the strategy activation_statistics: -alpha / mean + deviation / beta."""

    stat_beta: float = 1.0
    """Its beta."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prune_fractions:  # one meaning, one name: they say how much, and in how many rounds
            object.__setattr__(self, "prune_fraction", type(self).prune_fraction)
            object.__setattr__(self, "prune_iterations", type(self).prune_iterations)

    def check(self) -> None:
        """Refuse what is unknown, out of range, or belongs to another choice."""
        parse_strategy(self.strategy)
        self.require(0 <= self.prune_fraction <= 1, "prune_fraction", "it must be in [0, 1]")
        self.require(self.prune_iterations >= 1, "prune_iterations", "it must be at least 1")
        for field, registry in _CHOICES.items():
            check_known(registry.what, getattr(self, field), registry)
        if self.reduction is not None:
            check_known(REDUCTIONS.what, self.reduction, REDUCTIONS)
        check_known("convention", self.prune_fraction_of, CONVENTIONS)
        check_known("coupling", self.coupling, COUPLINGS)
        self._check_units()
        self._check_layers()
        self._check_amounts()
        self._check_selection()
        self._check_scoring()

    def versions(self) -> dict[str, Version]:
        """The versions of the strategy, its criterion, and the other choices."""
        named = {
            f"{field}:{name}": registry.version(name)
            for field, registry in _CHOICES.items()
            if (name := getattr(self, field))
        }
        strategy = parse_strategy(self.strategy)
        if (reduction := self.reduction or strategy.reduction) is not None:
            named[f"reduction:{reduction}"] = REDUCTIONS.version(reduction)
        if self.coupling == "inner":  # which no longer has what several layers read
            named["coupling:inner"] = 2
        return {**super().versions(), **strategy.versions, **named}

    def _check_units(self) -> None:
        pairs = {
            "block_shape": "two whole numbers from 1 on",
            "n_m": "two whole numbers, 1 <= n <= m",
        }
        for field, allowed in pairs.items():
            sizes = getattr(self, field)
            self.require(len(sizes) == 2 and all(size >= 1 for size in sizes), field, allowed)
        self.require(self.n_m[0] <= self.n_m[1], "n_m", pairs["n_m"])
        for field, granularities in _BELONGS.items():
            self.require(
                self.granularity not in {*_OWN} - {*granularities}
                or getattr(self, field) == getattr(PruningHparams, field),
                field,
                f"it belongs to --granularity={' or '.join(granularities)}",
            )

    def _check_layers(self) -> None:
        self.require(self.minimum_kept >= 0, "minimum_kept", "it must not be negative")
        self.require(0 <= self.minimum_fraction <= 1, "minimum_fraction", "it must be in [0, 1]")
        for field, allocation in (("layer_groups", "groups"), ("layer_fractions", "explicit")):
            self.require(
                (getattr(self, field) is not None) == (self.allocation == allocation),
                field,
                f"--allocation={allocation} needs it, and no other takes it",
            )
        if self.layer_groups is not None:
            parse_groups(self.layer_groups)
        if self.layer_fractions is not None:
            parse_fractions(self.layer_fractions)

    def _check_amounts(self) -> None:
        self.require(
            bool(self.prune_fractions) == (self.schedule == "explicit"),
            "prune_fractions",
            "--schedule=explicit needs them, and no other takes them",
        )
        self.require(
            self.schedule not in _TRUNCATED
            or (self.prune_fraction_of, self.granularity == "n_m", self.allocation in _COUNTED)
            == ("remaining", False, False),
            "schedule",
            "it takes --prune_fraction_of=remaining, and an --allocation and --granularity that "
            "leave the count to --prune_fraction",
        )
        if self.prune_fractions:
            self._check_list()
        if self.allocation in _COUNTED:
            says = f"--allocation={self.allocation} says how many are left: leave it out"
            self.require(not self.prune_fractions, "prune_fractions", says)
            self.require(self.prune_fraction == type(self).prune_fraction, "prune_fraction", says)

    def _check_list(self) -> None:
        """A list says the rounds and the end; neither may be said again otherwise."""
        *_, last = fractions = self.prune_fractions
        order = -1 if self.prune_fraction_of == "kept" else 1
        rising = [order * fraction for fraction in fractions]
        self.require(
            rising == sorted(set(rising)) and all(0 <= fraction <= 1 for fraction in fractions),
            "prune_fractions",
            "they must rise (or fall, of what is kept), and lie in [0, 1]",
        )
        self.require(
            self.prune_fraction in {type(self).prune_fraction, last},
            "prune_fraction",
            f"the last of prune_fractions, {last}, says it: leave it out",
        )
        self.require(
            self.prune_iterations in {1, len(fractions)},
            "prune_iterations",
            f"prune_fractions are {len(fractions)} rounds: leave it out",
        )

    def _check_selection(self) -> None:
        """Published thresholds are stated for what the published codes have alone."""
        if self.selection not in _CONVENTIONS_OF:
            return
        fits = self.schedule == "geometric" and self.allocation not in _COUNTED
        conventions = _CONVENTIONS_OF[self.selection]
        self.require(
            fits and self.prune_fraction_of in conventions,
            "selection",
            "it takes --schedule=geometric, an --allocation that leaves the count to "
            f"--prune_fraction, and --prune_fraction_of={' or '.join(conventions)}",
        )
        self.require(
            self.selection == "published_threshold" or self.prune_iterations == 1,
            "prune_iterations",
            f"--selection={self.selection} is of one round",
        )

    def _check_scoring(self) -> None:
        amounts = ("score_per_class", "score_examples", "score_batches", "score_batch_size")
        for field in amounts:
            count = getattr(self, field)
            self.require(count is None or count >= 1, field, "it must be at least 1")
        given = [field for field in amounts[:3] if getattr(self, field) is not None]
        self.require(
            len(given) <= 1, given[-1] if given else "", f"{' '.join(given[:1])} is given too"
        )
        if self.score_mode is not None:
            check_known("mode", self.score_mode, MODES)
        if self.score_precision is not None:
            check_known("precision", self.score_precision, PRECISIONS)
        for field in ("score_temperature", "stat_alpha", "stat_beta"):
            value = getattr(self, field)
            self.require(value is None or 0 < value < float("inf"), field, "it must be positive")
