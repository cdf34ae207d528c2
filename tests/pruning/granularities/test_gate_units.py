"""Gates as what is kept or cut: their names and counts, and the layers that make what they pass."""

from __future__ import annotations

import pytest
import torch

from foundations.errors import UserError
from models.gates import gate_tensors
from models.wiring import wiring
from pruning.gating import with_gates
from pruning.granularities.gates import makers
from pruning.mask import Mask
from pruning.prune import prune
from tests.models.graphs import SHAPE
from tests.pruning.granularities.examples import (
    dense,
    examples,
    granularity_of,
    made,
    pruned,
    run,
    subject_of,
)


def test_makers_of_a_residual_network() -> None:
    """After a sum, the second convolution of the block: not what it is added to."""
    network, _ = made("option_b")
    found = {
        site: [(part.layer, part.rows.tolist()) for part in parts]
        for site, parts in makers(wiring(network, SHAPE)).items()
    }
    widths = {"conv": 4, "blocks.0": 4, "blocks.1": 7, "blocks.2": 7}
    expected = {"relu": [("conv", [0, 1, 2, 3])]}
    for n in range(3):
        rows = list(range(widths[f"blocks.{n}"]))
        expected[f"blocks.{n}.relu"] = [(f"blocks.{n}.conv1", rows)]
        expected[f"blocks.{n}.relu_1"] = [(f"blocks.{n}.conv2", rows)]
    assert found == expected


def test_makers_of_concatenations() -> None:
    """Each channel has its own layer, at its own place."""
    network, _ = made("repeated")
    (site,) = (
        parts for parts in makers(wiring(network, SHAPE)).values() if parts[0].layer == "part"
    )
    assert site[0].rows.tolist() == site[0].places.tolist() == [0, 1, 2]


def test_scores_of_gates_are_those_of_the_filters_before_them() -> None:
    """The mean over the inputs of a filter; weights are left as they are."""
    network, weights = made("option_b")
    mask, report = pruned(network, weights, granularity="gates", prune_fraction=0.5)
    assert report["total"] == 4 + 2 * (4 + 7 + 7)
    means = {name: w.abs().flatten(1).mean(1) for name, w in weights.items() if w.dim() == 4}
    makes = {"gate:relu": "conv.weight"}
    for n in range(3):
        makes[f"gate:blocks.{n}.relu"] = f"blocks.{n}.conv1.weight"
        makes[f"gate:blocks.{n}.relu_1"] = f"blocks.{n}.conv2.weight"
    every = torch.cat([means[name] for name in makes.values()]).sort().values
    for gate, name in makes.items():
        assert torch.equal(mask[gate], means[name] > every[19])
    assert mask.weights == dense(network, weights)
    assert mask.apply(weights).keys() == weights.keys()


def test_a_network_with_gates_is_scored_with_them() -> None:
    """What a gate has cut makes the weights of its channel worth nothing, in whatever round."""
    network, weights = made("option_b")
    gates = pruned(network, weights, granularity="gates", prune_fraction=0.4).mask
    subject = subject_of(network, strategy="snip2", prune_fraction=0.01)
    mask, _ = prune(subject, weights, data=examples(4), mask=gates)
    assert all(torch.equal(mask[name], gates[name]) for name in gates if name.startswith("gate:"))
    closed = ~gates["gate:blocks.0.relu"]
    assert closed.any()
    by_hand = {**weights, "blocks.0.bn1.weight": weights["blocks.0.bn1.weight"] * ~closed}
    by_hand["blocks.0.bn1.bias"] = weights["blocks.0.bn1.bias"] * ~closed
    only = Mask({"gate:blocks.0.relu": ~closed})
    one = with_gates(network, SHAPE, only)
    values = {**weights, **gate_tensors(only, torch.float64)}
    torch.testing.assert_close(run(one, values), run(network, by_hand))


def test_gates_that_there_are_not() -> None:
    """They are refused by name; a mask without gates leaves the network itself."""
    network, weights = made("option_b")
    with pytest.raises(UserError, match=r"gate:blocks\.0\.relo"):
        with_gates(network, SHAPE, ["gate:blocks.0.relo"])
    assert with_gates(network, SHAPE, dense(network, weights)) is network


def test_layers_of_gates_can_be_ignored() -> None:
    """A gate goes by the layer that makes what it lets through."""
    network, weights = made("option_b")
    ignoring = {"granularity": "gates", "layers_to_ignore": ("conv.weight", "blocks.1.conv2")}
    units = granularity_of(network, "gates", layers_to_ignore=ignoring["layers_to_ignore"])
    names = set(units.units(dense(network, weights)))
    assert len(names) == 5
    assert not names & {"gate:relu", "gate:blocks.1.relu_1"}
