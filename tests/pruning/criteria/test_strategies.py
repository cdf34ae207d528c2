"""Every strategy of single weights, through the whole of pruning: inverted, or with a NaN."""

from __future__ import annotations

import pytest
import torch

from foundations.errors import RunFailedError
from pruning.criteria import CRITERIA, UnitCriterion
from pruning.strategies import STRATEGIES
from tests.pruning.networks import (
    CONV_NAMES,
    CONV_SHAPE,
    Examples,
    batches,
    conv_net,
    partly,
    pruned,
)


def of_single_weights() -> list[str]:
    """Strategies whose criterion scores weights, with a number of examples where they take one."""
    return [
        f"{stem}3" if published.takes_examples else stem
        for stem, published in ((stem, STRATEGIES[stem]) for stem in STRATEGIES)
        if not hasattr(CRITERIA[published.criterion], UnitCriterion.units.__name__)
    ]


def data() -> Examples:
    """Two batches."""
    return Examples(batches([6, 3], CONV_SHAPE), CONV_SHAPE)


@pytest.mark.parametrize("strategy", of_single_weights())
def test_inverted(strategy: str) -> None:
    """Half cut from below and half cut from above leave every weight in one of the two."""
    network, weights = conv_net()
    mask = partly(weights, CONV_NAMES)
    if mask.kept % 2:
        mask["fc.weight"].view(-1)[mask["fc.weight"].flatten().nonzero()[0]] = False
    low, high = (
        pruned(
            network,
            weights,
            data=data(),
            mask=mask,
            strategy=strategy,
            prune_fraction=0.5,
            prune_highest=inverted,
        ).mask
        for inverted in (False, True)
    )
    assert low.kept == high.kept == mask.kept // 2
    assert all(torch.equal(low[name] | high[name], mask[name]) for name in mask)


@pytest.mark.parametrize("strategy", sorted({*of_single_weights()} - {"random"}))
def test_not_a_number(strategy: str) -> None:
    """A weight that is not a number has no score, and is refused."""
    network, weights = conv_net()
    weights["fc.weight"][0, 0] = torch.nan
    with pytest.raises(RunFailedError, match=r"fc\.weight|conv\.weight"):
        pruned(network, weights, data=data(), strategy=strategy, prune_fraction=0.5)
