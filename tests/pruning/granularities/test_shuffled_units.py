"""Shuffling moves whole units, and what goes with them."""

from __future__ import annotations

import pytest
import torch

from foundations.errors import UserError
from pruning.choices import SHUFFLES
from pruning.mask import Mask
from pruning.prune import prune
from pruning.shuffle import shuffle_layerwise, shuffle_units
from tests.pruning.granularities.examples import granularity_of, made, pruned, subject_of


@pytest.mark.parametrize("how", list(SHUFFLES))
@pytest.mark.parametrize("granularity", ["kernels", "channels", "gates", "blocks"])
def test_as_many_units_others(granularity: str, how: str) -> None:
    """What comes out is what pruning at this granularity could have given, with the same count."""
    network, weights = made("option_b")
    mask, report = pruned(network, weights, granularity=granularity, prune_fraction=0.4)
    chosen = granularity_of(network, granularity)
    shuffled = shuffle_units(mask, chosen, 3, how=how)
    before, after = chosen.units(mask), chosen.units(shuffled)
    assert after != before
    assert after.kept == before.kept == report["kept"][-1]
    assert how != "layerwise" or after.layers == before.layers
    whole = Mask.dense(weights, mask.weights)
    assert chosen.mask(after, whole) == shuffled


def test_single_weights() -> None:
    """They are shuffled as they always were."""
    network, weights = made("chain")
    mask, _ = pruned(network, weights, prune_fraction=0.4)
    chosen = granularity_of(network, "weights")
    for how in SHUFFLES:
        assert shuffle_units(mask, chosen, 5, how=how) == SHUFFLES[how](mask, 5)
    first, _ = pruned(network, weights, prune_fraction=0.2)
    second = prune(subject_of(network, prune_fraction=0.2), weights, mask=first).mask
    expected = shuffle_layerwise(second, 5, within=first)
    assert shuffle_units(second, chosen, 5, within=first) == expected


def test_within_what_was_kept_before() -> None:
    """Channels that a parent has lost do not come back, nor do their norms."""
    network, weights = made("option_b")
    subject = subject_of(network, granularity="channels", prune_fraction=0.4)
    first = prune(subject, weights).mask
    second = prune(subject, weights, mask=first).mask
    chosen = granularity_of(network, "channels")
    shuffled = shuffle_units(second, chosen, 1, within=first)
    assert chosen.units(shuffled).layers == chosen.units(second).layers
    assert all((shuffled[name] <= first[name]).all() for name in first)
    assert shuffled != second


def test_masks_that_cannot_be_shuffled() -> None:
    """A mixture, for there is no saying what its units are; and N:M, which would be none."""
    network, weights = made("option_b")
    first = pruned(network, weights, granularity="channels", prune_fraction=0.4).mask
    mixed = prune(subject_of(network, prune_fraction=0.3), weights, mask=first).mask
    for granularity in ("channels", "weights"):
        with pytest.raises(UserError, match="more ways than one"):
            shuffle_units(mixed, granularity_of(network, granularity), 0)
    mask, _ = pruned(network, weights, granularity="n_m", n_m=(1, 2), prune_fraction=0.5)
    with pytest.raises(UserError, match="strategy=random"):
        shuffle_units(mask, granularity_of(network, "n_m"), 0)
    assert torch.equal(mask["fc.weight"].sum(1), torch.full((4,), 4))
