"""What ``sparsity.json`` says of a pruned network, against counting by hand; and the alarms."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from models.build import prunable
from pruning.accounting import account
from pruning.alarms import alarms
from pruning.mask import Mask
from pruning.report import sparsity_report
from pruning.structure import structured
from tests.pruning.networks import CONV_NAMES, CONV_SHAPE, conv_net, partly


def test_kernels_and_channels_that_are_alive() -> None:
    """Those with a weight left, counted one by one; weights and MACs as accounted."""
    network, weights = conv_net()
    mask = partly(weights, CONV_NAMES)
    conv = mask["conv.weight"].clone()
    conv[0] = False
    conv[1, 0] = False
    mask = Mask({**mask, "conv.weight": conv})
    report = sparsity_report(mask)
    found = structured(report, mask, network, CONV_SHAPE)
    assert json.loads(json.dumps(found)) == found
    first, last = found["layers"]
    assert (first["kernels"], first["kernels_alive"]) == (6, 3)
    assert (first["channels"], first["channels_alive"]) == (3, 2)
    assert last["kernels_alive"] == last["kept"] == int(mask["fc.weight"].sum())
    counted = account(network, CONV_SHAPE, mask)
    for row, layer in zip(found["layers"], counted["layers"], strict=True):
        counts = layer["counts"]
        assert row["macs_kept"] == counts["macs_kept"] == row["kept"] * (9 if row is first else 1)
        assert row["weights_effective"] == counts["weights_effective"]
        assert row["kernels_alive"] == counts["kernels_alive"]
        assert row["channels_alive"] == counts["channels_alive"]
    assert found["macs"] == 9 * 54 + 9
    assert {name: found[name] for name in ("total", "kept", "cut_to_nothing")} == {
        "total": report["total"],
        "kept": report["kept"],
        "cut_to_nothing": [],
    }
    assert (found["cut_off"], found["no_path"]) == ([], False)
    assert list(alarms(found)) == []


class _Branching(nn.Module):
    """Its way depends on a value, so that it cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        given: Tensor = self.fc(x.flatten(1))
        return given if given.sum() > 0 else -given


def test_a_network_that_cannot_be_traced() -> None:
    """It has counts of what is alive, and none of what is on a path."""
    mask = Mask({"fc.weight": torch.tensor([[True, True, False, False], [False] * 4])})
    found = structured(sparsity_report(mask), mask, _Branching(), (1, 2, 2))
    (layer,) = found["layers"]
    assert (layer["channels"], layer["channels_alive"]) == (2, 1)
    assert (found["kernels"], found["kernels_alive"]) == (8, 2)
    assert not {"macs", "cut_off", "no_path"} & {*found, *layer}


def test_alarms() -> None:
    """A line for each layer with nothing left and each that is cut off; one for no path at all."""
    network, weights = conv_net()
    mask = Mask.dense(weights, prunable(network))
    nothing = Mask({**mask, "conv.weight": torch.zeros_like(mask["conv.weight"])})
    found = structured(sparsity_report(nothing), nothing, network, CONV_SHAPE)
    assert [line.split(":")[1].split(" is")[0].split(" has")[0] for line in alarms(found)] == [
        " conv.weight",
        " fc.weight",
        " no path leads from the image to the output",
    ]
    assert list(alarms({"cut_to_nothing": ["a"]})) == [
        "WARNING: a has nothing left: nothing passes through it."
    ]
    assert list(alarms({})) == []
