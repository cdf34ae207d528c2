"""A channel that is cut is silent, with all that goes with it, and nothing else is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from models.wiring import groups, wiring
from pruning.granularities.channels import Channels
from pruning.mask import Mask
from pruning.prune import prune
from tests.models.graphs import NETWORKS, SHAPE
from tests.pruning.granularities.examples import (
    dense,
    granularity_of,
    made,
    pruned,
    random_scores,
    run,
    subject_of,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.wiring import Wiring


def channels_of(network: nn.Module, **settings: str) -> Channels:
    """The channels of a network."""
    found = granularity_of(network, "channels", **settings)
    assert isinstance(found, Channels)
    return found


def cut_labels(wires: Wiring, mask: Mask) -> set[int]:
    """The labels of channels all of whose filters are cut."""
    dead: dict[int, bool] = {}
    for layer, labels in wires.producers.items():
        alive = mask[f"{layer}.weight"].flatten(1).any(1).tolist()
        for label, lives in zip(labels.tolist(), alive, strict=True):
            dead[label] = dead.get(label, True) and not lives
    return {label for label, is_dead in dead.items() if is_dead}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("coupling", ["grouped", "inner"])
def test_whatever_reads_a_cut_channel_reads_zero(name: str, coupling: str) -> None:
    """Other weights for it in the layers that read it change no bit of the output."""
    network, weights = made(name)
    wires = wiring(network, SHAPE)
    mask, _ = pruned(
        network,
        weights,
        granularity="channels",
        coupling=coupling,
        strategy="random",
        prune_fraction=0.6,
    )
    masked, cut = mask.apply(weights), cut_labels(wires, mask)
    other = dict(masked)
    for layer, labels in wires.consumers.items():
        columns = torch.from_numpy(np.isin(labels, list(cut)))
        weight = masked[f"{layer}.weight"].clone()
        per_group = weight.shape[1]
        for row in range(len(weight)):
            group = row // (len(weight) // max(1, len(columns) // per_group))
            weight[row, columns[group * per_group : (group + 1) * per_group]] = 7.0
        other[f"{layer}.weight"] = weight
    assert cut
    assert any(not torch.equal(other[key], masked[key]) for key in masked)
    assert torch.equal(run(network, other), run(network, masked))
    assert not torch.equal(run(network, masked), run(network, weights))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("coupling", ["grouped", "inner", "independent"])
def test_what_goes_with_channels(name: str, coupling: str) -> None:
    """Weights lose whole rows; biases and norms lose just what is silent; nothing else is named."""
    network, weights = made(name)
    granularity = channels_of(network, coupling=coupling)
    start = dense(network, weights)
    units = Mask({n: scores > 0 for n, scores in random_scores(granularity.units(start)).items()})
    mask = granularity.mask(units, start)
    assert granularity.units(mask) == units
    mask.check({key: tuple(value.shape) for key, value in weights.items()})
    cut = {}
    for layer in granularity.wiring.producers:
        rows = mask[f"{layer}.weight"].flatten(1)
        assert torch.equal(rows.any(1), rows.all(1))
        cut[layer] = ~rows.any(1)
        if f"{layer}.bias" in mask:
            assert torch.equal(mask[f"{layer}.bias"], ~cut[layer])
        elif f"{layer}.bias" in weights:
            assert not cut[layer].any()
    vectors = {key for key in mask if mask[key].dim() == 1}
    assert vectors <= set(weights)
    modules = {key.rpartition(".")[0] for key in vectors}
    for module in modules - set(cut):
        assert torch.equal(mask[f"{module}.weight"], mask[f"{module}.bias"])


def test_residual_network_by_hand() -> None:
    """The stem's channels go with those of the first block, for they are added; norms follow."""
    network, weights = made("option_b")
    granularity = channels_of(network)
    assert granularity.units(dense(network, weights)).shapes == {
        "blocks.0.conv1.weight": (4,),
        "blocks.1.conv1.weight": (7,),
        "blocks.1.conv2.weight": (7,),
        "blocks.2.conv1.weight": (7,),
        "conv.weight": (4,),
    }
    start = dense(network, weights)
    units = granularity.units(start)
    keep = {name: torch.ones_like(kept) for name, kept in units.items()}
    keep["conv.weight"][1] = False
    mask = granularity.mask(Mask(keep), start)
    changed = {
        name: sorted({at[0] for at in (~kept).nonzero().tolist()}) for name, kept in mask.items()
    }
    together = ["conv.weight", "bn.weight", "bn.bias", "blocks.0.conv2.weight"]
    together += ["blocks.0.bn2.weight", "blocks.0.bn2.bias"]
    assert {name: rows for name, rows in changed.items() if rows} == {key: [1] for key in together}


def test_couplings_by_hand() -> None:
    """Inner channels are those of the first convolutions; independent ones are those of all."""
    network, weights = made("option_b")
    start = dense(network, weights)
    inner = channels_of(network, coupling="inner").units(start)
    assert list(inner) == [f"blocks.{n}.conv1.weight" for n in range(3)]
    alone = channels_of(network, coupling="independent").units(start)
    layers = [name for name in start if name != "fc.weight"]
    assert list(alone) == layers
    no_stem = {n: torch.full_like(each, n != "conv.weight") for n, each in alone.items()}
    mask = channels_of(network, coupling="independent").mask(Mask(no_stem), start)
    cut = {name for name, kept in mask.items() if not kept.all()}
    assert cut == {"conv.weight", "bn.weight", "bn.bias"}


@pytest.mark.parametrize("coupling", ["grouped", "inner", "independent"])
@pytest.mark.parametrize("name", NETWORKS)
def test_units_are_the_groups_of_the_wiring(name: str, coupling: str) -> None:
    """As many, the output layer's never among them; scores are those of all their weights."""
    network, weights = made(name)
    wires, start = wiring(network, SHAPE), dense(network, weights)
    granularity = channels_of(network, coupling=coupling, reduction="l2")
    found = granularity.scores(weights, start)
    expected: dict[str, list[float]] = {}
    for group in groups(wires, coupling):
        rows = [weights[f"{layer}.weight"][row].flatten() for layer, row in group]
        expected.setdefault(f"{group[0][0]}.weight", []).append(float(torch.cat(rows).norm()))
    assert "fc.weight" not in found
    assert set(found) == set(expected)
    for key, scores in found.items():
        assert scores.tolist() == pytest.approx(expected[key], rel=1e-12)


def test_nodes_are_rows_of_hidden_linear_layers() -> None:
    """With their biases; the rows of the output layer and convolutions are none."""
    network, weights = made("chain")
    mask, report = pruned(network, weights, granularity="nodes", prune_fraction=0.5)
    assert report["total"] == 6
    norms = weights["hidden.weight"].abs().mean(1)
    kept = norms > norms.sort().values[2]
    assert torch.equal(mask["hidden.weight"], kept[:, None].expand(6, 16))
    assert torch.equal(mask["hidden.bias"], kept)
    cut = {name for name, each in mask.items() if not each.all()}
    assert cut == {"hidden.weight", "hidden.bias"}


def test_pruned_parents() -> None:
    """A channel is there while any of its weights is; one that is not is silenced for good."""
    network, weights = made("option_b")
    start = dict(dense(network, weights))
    start["blocks.0.conv1.weight"] = torch.zeros_like(start["blocks.0.conv1.weight"])
    start["blocks.0.conv1.weight"][2, 1, 0, 0] = True
    subject = subject_of(network, granularity="channels", prune_fraction=0.2)
    before = channels_of(network).units(Mask(start))
    assert before["blocks.0.conv1.weight"].tolist() == [False, False, True, False]
    mask, report = prune(subject, weights, mask=Mask(start))
    assert report["asked"] == round(before.kept * 0.2)
    assert not mask["blocks.0.bn1.bias"][:2].any()
    assert (mask["blocks.0.conv1.weight"] <= start["blocks.0.conv1.weight"]).all()


def test_weights_are_pruned_after_channels() -> None:
    """What went with channels stays cut, and is not counted among weights."""
    network, weights = made("option_b")
    first = pruned(network, weights, granularity="channels", prune_fraction=0.5).mask
    second, report = prune(subject_of(network, prune_fraction=0.5), weights, mask=first)
    assert report["total"] == dense(network, weights).total
    assert report["kept"] == [report["sparsity"]["kept"]] == [first.weights.kept // 2]
    vectors = [name for name in first if name not in first.weights]
    assert vectors
    assert all(torch.equal(second[name], first[name]) for name in vectors)
    assert [other["layer"] for other in report["sparsity"]["others"]] == vectors


def scaled(weights: dict[str, Tensor], module: str, row: int, factor: float) -> dict[str, Tensor]:
    """The weights with one row of a module's parameters multiplied."""
    other = {name: value.clone() for name, value in weights.items()}
    for name in (f"{module}.weight", f"{module}.bias"):
        if name in other:
            other[name][row] *= factor
    return other


@pytest.mark.parametrize(
    ("name", "layer", "module"),
    [
        ("option_b", "conv", "bn"),
        ("option_b", "blocks.1.conv2", "blocks.1.bn2"),
        ("option_b", "blocks.1.shortcut.0", "blocks.1.shortcut.1"),
        ("pre_activation", "conv", "blocks.0.bn1"),
        ("pre_activation", "blocks.0.conv1", "blocks.0.bn2"),
        ("pre_activation", "blocks.2.conv2", "blocks.2.conv2"),
        ("chain", "body.0", "body.0"),
        ("depthwise", "wide", "bn2"),
        ("depthwise", "squeeze", "squeeze"),
        ("dense", "stem", "stem"),
    ],
)
def test_where_multipliers_stand(name: str, layer: str, module: str) -> None:
    """Before the last norm that the channel passes alone: scaled by nothing, it is silent."""
    network, weights = made(name)
    found = channels_of(network, coupling="independent").multipliers[layer]
    assert found.module == module
    assert set(found.rows) == {f"{module}.{part}" for part in ("weight", "bias")} & set(weights)
    row = int(next(iter(found.rows.values()))[0])
    silent = scaled(weights, module, row, 0.0)
    assert torch.equal(run(network, silent), run(network, scaled(silent, layer, row, 5.0)))
