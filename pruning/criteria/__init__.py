"""Which criteria there are: what gives each weight its score.

A criterion is one pure function. It owns its passes, modes and precision, and changes neither the
network nor the tensors it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from foundations.errors import UserError
from foundations.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from pruning.granularity import Granularity
    from pruning.mask import Mask

Key = tuple[str | int, ...]
"""What random draws are keyed by: the seed and the round."""


class Examples(NamedTuple):
    """Which training examples a criterion looks at: so many of each class, in all, or batches.

    All there are, if no amount is given.
    """

    per_class: int | None = None
    examples: int | None = None
    batches: int | None = None
    batch_size: int | None = None
    """None is that of training."""
    augmented: bool = False
    at_most: bool = False
    """Take all there are, if they are fewer than ``examples``; otherwise that is refused."""
    balanced: bool = False
    """Take as many of each class as ``examples`` divided by the number of classes, rounded down."""

    def resolved(self, there: int, classes: int) -> Examples:
        """The same examples of a data set of this size, by one amount alone.

        Raises:
            UserError: There are more classes than examples to divide among them.
        """
        per_class, examples, batches, size, augmented, at_most, balanced = self
        if per_class is None and batches is None:
            examples = there if examples is None else examples
            examples = min(examples, there) if at_most else examples
            if balanced and examples <= there:  # more is refused where examples are drawn
                return Examples(_share(examples, classes), None, None, size, augmented)
        return Examples(per_class, examples, batches, size, augmented)


def _share(examples: int, classes: int) -> int:
    if examples < classes:
        raise UserError(f"{examples} examples cannot be shared among {classes} classes.")
    return examples // classes


class ScoringData(Protocol):
    """The data that a criterion may ask for."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one example."""

    def batches(self, examples: Examples) -> Sequence[tuple[Tensor, Tensor]]:
        """The examples in batches: (B, C, H, W) normalized, and int64 labels (B,).

        The same examples, in the same batches, whenever it is asked.
        """


class Criterion(Protocol):
    """How a criterion of single weights looks to whoever prunes by it."""

    def __call__(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """Scores of the names and shapes of the mask; whatever has the lowest goes.

        Args:
            network: Called functionally; its own tensors and its modes stay as they are.
            weights: All parameters and buffers by name, with the mask applied.
            mask: What is kept so far. The scores of what is cut have no meaning.
            data: Where examples come from; None will do for a criterion that needs none.
            key: What every random draw is keyed by.
        """


@runtime_checkable
class UnitCriterion(Protocol):
    """How a criterion looks that scores kernels, channels or nodes by themselves."""

    serves: frozenset[str]
    """The granularities whose units it can score, by name."""

    def units(
        self,
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        granularity: Granularity,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        """Scores of the names and shapes of ``granularity.units(mask)``; the lowest go.

        Args:
            network: As for ``Criterion``, and so are the others.
            weights: With the mask applied.
            mask: What is kept so far, of weights and all else.
            granularity: What is kept or cut as one.
            data: Where examples come from.
            key: What every random draw is keyed by.
        """


CRITERIA: Registry[Callable[..., Criterion | UnitCriterion]] = Registry(
    "criterion",
    {
        "random": "pruning.criteria.random:Random",
        "magnitude": "pruning.criteria.magnitude:Magnitude",
        "snip": "pruning.criteria.snip:Snip",
        "grasp": "pruning.criteria.grasp:Grasp",
        "first_order": "pruning.criteria.first_order:FirstOrder",
        "weighted_first_order": "pruning.criteria.first_order:WeightedFirstOrder",
        "hessian_gradient": "pruning.criteria.hessian_gradient:HessianGradient",
        "fisher": "pruning.criteria.fisher:Fisher",
        "synflow": "pruning.criteria.synflow:SynFlow",
        "gate_saliency": "pruning.criteria.gate_saliency:GateSaliency",
        "bn_scale": "pruning.criteria.batch_norm:BnScale",
        "bn_taylor": "pruning.criteria.batch_norm:BnTaylor",
        "activation_statistics": "pruning.criteria.activation_statistics:ActivationStatistics",
        "fisher_activations": "pruning.criteria.fisher_activations:FisherActivations",
    },
)
"""Criteria by name: what is called with a criterion's settings and gives one."""
