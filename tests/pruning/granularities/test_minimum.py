"""What layers of channels keep at least: their best, whatever goes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from foundations.errors import UserError
from pruning.granularities.channels import weight_of
from tests.models.graphs import NETWORKS
from tests.pruning.granularities.examples import dense, granularity_of, made, pruned

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pruning.mask import Mask

COUPLED = sorted({*NETWORKS} - {"repeated", "grouped"})


def _shrunk(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network one of whose layers is so small that all its channels would go first."""
    network, weights = made(name)
    units = granularity_of(network, "channels").units(dense(network, weights))
    last = list(units)[-1]
    return network, {**weights, last: weights[last] * 1e-6}


def _greedy(scores: dict[str, Tensor], cut: int, least: dict[str, int]) -> set[tuple[str, int]]:
    """One unit after another, the lowest first; one that its layer needs is passed over."""
    order = sorted(
        (score, name, at)
        for name, values in scores.items()
        for at, score in enumerate(values.tolist())
    )
    left = {name: len(values) for name, values in scores.items()}
    gone: set[tuple[str, int]] = set()
    for _, name, at in order:
        if len(gone) < cut and left[name] > least[name]:
            left[name] -= 1
            gone.add((name, at))
    return gone


def _gone(units: Mask) -> set[tuple[str, int]]:
    return {
        (name, at) for name, kept in units.items() for at in (~kept).nonzero().flatten().tolist()
    }


@pytest.mark.parametrize("coupling", ["grouped", "independent"])
@pytest.mark.parametrize("name", COUPLED)
@pytest.mark.parametrize("minimum", [{"minimum_kept": 1}, {"minimum_fraction": 0.3}])
def test_the_lowest_beyond_the_minimum_go(
    name: str, coupling: str, minimum: dict[str, Any]
) -> None:
    """As if one after another were cut of all layers, and those that are needed passed over."""
    network, weights = _shrunk(name)
    chosen = granularity_of(network, "channels", coupling=coupling)
    start = dense(network, weights)
    found = pruned(
        network,
        weights,
        granularity="channels",
        coupling=coupling,
        prune_fraction=0.5,
        **minimum,
    )
    scores = dict(chosen.scores({n: weights[n].abs() for n in start}, start))
    part = minimum.get("minimum_fraction", 0)
    least = {unit: max(1, -(-int(10 * part) * len(v) // 10)) for unit, v in scores.items()}
    expected = _greedy(scores, found.report["asked"], least)
    assert found.report["reached"] == found.report["asked"] == len(expected)
    assert _gone(chosen.units(found.mask)) == expected


@pytest.mark.parametrize("coupling", ["grouped", "independent"])
@pytest.mark.parametrize("name", COUPLED)
def test_a_minimum_of_one_leaves_no_layer_empty(name: str, coupling: str) -> None:
    """Not only the first of the layers whose channels go together."""
    network, weights = _shrunk(name)
    settings: dict[str, Any] = {"granularity": "channels", "coupling": coupling}
    chosen = granularity_of(network, "channels", coupling=coupling)
    units = chosen.units(dense(network, weights))
    most = 1 - (len(units) + 0.4) / units.total
    found = pruned(network, weights, prune_fraction=most, minimum_kept=1, **settings)
    assert chosen.units(found.mask).kept == len(units)
    layers = {name for name in weights if name.endswith(".weight") and weights[name].dim() > 1}
    alive = {layer for layer in layers if found.mask.get(layer, torch.ones(1, 1)).any()}
    assert alive == layers
    free = pruned(network, weights, prune_fraction=most, **settings).mask
    assert any(not free[weight].any() for weight in free.weights)


def test_more_than_the_minimum_leaves() -> None:
    """It is refused, with the numbers; all channels at once, too."""
    network, weights = made("option_b")
    settings: dict[str, Any] = {"granularity": "channels", "minimum_kept": 2}
    with pytest.raises(UserError, match=r"keep at least 10 between them.* and 0 are to be kept"):
        pruned(network, weights, prune_fraction=1.0, **settings)


def test_ignored_layers_protect_what_goes_with_them() -> None:
    """Of channels that go together, all stay where one of their layers is to be left alone."""
    network, weights = made("option_b")
    settings: dict[str, Any] = {"granularity": "channels", "prune_fraction": 1.0}
    mask = pruned(network, weights, layers_to_ignore=("blocks.2.conv2",), **settings).mask
    together = ("blocks.1.conv2", "blocks.1.shortcut.0", "blocks.2.conv2")
    assert all(mask[weight_of(layer)].all() for layer in together)
    others = ("conv", "blocks.0.conv1", "blocks.0.conv2", "blocks.1.conv1", "blocks.2.conv1")
    assert not any(mask[weight_of(layer)].any() for layer in others)
