"""What is written down of a mask."""

import json

import torch

from pruning.mask import Mask
from pruning.report import sparsity_report


def test_sparsity_report() -> None:
    """Layers with shape and counts, the whole, and loudly what is cut to nothing."""
    mask = Mask(
        {
            "fc": torch.zeros(2, dtype=torch.bool),
            "conv": torch.tensor([[True, False, True]]),
            "empty": torch.zeros(0, dtype=torch.bool),
        }
    )
    report = sparsity_report(mask)
    assert report == {
        "layers": [
            {"layer": "conv", "shape": [1, 3], "total": 3, "kept": 2},
            {"layer": "empty", "shape": [0], "total": 0, "kept": 0},
            {"layer": "fc", "shape": [2], "total": 2, "kept": 0},
        ],
        "total": 5,
        "kept": 2,
        "cut_to_nothing": ["fc"],
    }
    assert json.loads(json.dumps(report)) == report
