"""What is written down of a mask."""

import json

import torch

from pruning.mask import Mask
from pruning.report import sparsity_report


def test_sparsity_report() -> None:
    """Layers with shape and counts, the whole, and loudly what is cut to nothing."""
    mask = Mask(
        {
            "fc": torch.zeros(1, 2, dtype=torch.bool),
            "conv": torch.tensor([[True, False, True]]),
            "empty": torch.zeros(0, 1, dtype=torch.bool),
        }
    )
    report = sparsity_report(mask)
    assert report == {
        "layers": [
            {"layer": "conv", "shape": [1, 3], "total": 3, "kept": 2},
            {"layer": "empty", "shape": [0, 1], "total": 0, "kept": 0},
            {"layer": "fc", "shape": [1, 2], "total": 2, "kept": 0},
        ],
        "total": 5,
        "kept": 2,
        "cut_to_nothing": ["fc"],
    }
    assert json.loads(json.dumps(report)) == report


def test_what_is_no_weight_is_counted_apart() -> None:
    """A norm that is cut whole goes with its layer; a gate that lets nothing through is named."""
    mask = Mask(
        {
            "conv.weight": torch.ones(2, 3, dtype=torch.bool),
            "gate:relu": torch.tensor([False, False]),
            "norm.bias": torch.tensor([False]),
        }
    )
    report = sparsity_report(mask)
    assert (report["kept"], report["total"]) == (6, 6)
    assert [layer["layer"] for layer in report["layers"]] == ["conv.weight"]
    assert report["others"] == [
        {"layer": "gate:relu", "shape": [2], "total": 2, "kept": 0},
        {"layer": "norm.bias", "shape": [1], "total": 1, "kept": 0},
    ]
    assert report["cut_to_nothing"] == ["gate:relu"]
