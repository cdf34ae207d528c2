"""How the scores of the weights of a unit become the score of the unit.

A reduction takes scores and the dimensions that make up a unit, which are gone from what it gives.
Scores that carry a sign (w g, say) are to be summed before anything is made positive:
``signed_sum`` and ``abs_sum`` do that, all others take absolute values first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pruning.choices import REDUCTIONS
from pruning.strategies import STRATEGIES, parse_strategy

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.choices import Reduction
    from pruning.subject import Subject

DEFAULT = "mean"
"""For strategies that do not say what they stand for."""


def reduction_of(subject: Subject) -> Reduction:
    """The reduction that is asked for, or else that of the strategy, or else the mean."""
    stem = parse_strategy(subject.hparams.strategy).stem
    return REDUCTIONS[subject.hparams.reduction or STRATEGIES[stem].reduction or DEFAULT]


def mean(scores: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The mean of absolute values."""
    return scores.abs().mean(dims)


def sum(scores: Tensor, dims: tuple[int, ...]) -> Tensor:  # noqa: A001 - the term
    """The sum of absolute values: of magnitudes, the l1 norm."""
    return scores.abs().sum(dims)


def l2(scores: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The root of the sum of squares: of magnitudes, the l2 norm."""
    return scores.square().sum(dims).sqrt()


def max(scores: Tensor, dims: tuple[int, ...]) -> Tensor:  # noqa: A001 - the term
    """The largest absolute value."""
    return scores.abs().amax(dims)


def abs_sum(scores: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The absolute value of the sum: of w g, the first-order change of the loss."""
    return scores.sum(dims).abs()


def signed_sum(scores: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The sum, with its sign."""
    return scores.sum(dims)
