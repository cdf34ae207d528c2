"""Runs that are trained by one process and by two, in the tests of parallel training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches.describing import branch, describe

if TYPE_CHECKING:
    from foundations.description import Description


def runs(numerics: str) -> list[Description]:
    """A dense one, one that is pruned by what is tracked while it trains, and one that is taught.

    Of the 1,438 examples of an epoch the last batch has 238.
    """
    dense = describe(
        "digits_lenet", numerics=numerics, training_steps="2ep", batch_size=300, momentum=0.9
    )
    tracked = branch(
        dense,
        "interleaved",
        granularity="nodes",
        strategy="fisher_activations",
        track="all",
        prune_every="3it",
        prune_fraction=0.9,
        prune_iterations=2,
    )
    taught = branch(
        dense, "distill", teachers=(dense,), distill_training_steps="1ep", distill_cross_entropy=0.5
    )
    return [dense, tracked, taught]
