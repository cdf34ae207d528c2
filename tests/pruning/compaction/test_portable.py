"""What compaction puts into a graph is kept in files, loaded and exported as it is."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
import torch

from models.portable.export import onnx_runner, to_onnx, to_torch_export
from models.portable.saved import load_compacted, save_compacted
from pruning.compaction.compact import compacted
from tests.models.graphs import CLASSES, NETWORKS, SHAPE
from tests.pruning.compaction.cases import MASKS, images, lively

if TYPE_CHECKING:
    from pathlib import Path

    from torch import fx


def _compacted(name: str, kind: str) -> fx.GraphModule:
    network = lively(NETWORKS[name]())
    return compacted(network, SHAPE, network.state_dict(), MASKS[kind](network, SHAPE))


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_way_that_channels_go_is_kept(name: str, kind: str, tmp_path: Path) -> None:
    """To the last bit, whatever compaction put into the graph."""
    small = _compacted(name, kind)
    save_compacted(tmp_path, small, {"shape": list(SHAPE), "classes": CLASSES})
    x = images(SHAPE)
    with torch.no_grad():
        assert torch.equal(load_compacted(tmp_path)(x), small(x))


@pytest.mark.parametrize(
    ("name", "kind"), [("option_a", "independent"), ("depthwise", "gates"), ("dense", "nothing")]
)
def test_what_compaction_adds_is_exported(name: str, kind: str) -> None:
    """Selections, constants and channels between others, for another number of images."""
    pytest.importorskip("onnxruntime")
    small = _compacted(name, kind).float()
    x, others = images(SHAPE, 4).float(), images(SHAPE, 7).float()
    with torch.no_grad():
        expected = small(others)
        program = torch.export.load(io.BytesIO(to_torch_export(small, x).data)).module()
        found = [onnx_runner(to_onnx(small, x).data)(others), program(others)]
    scale = max(1.0, float(expected.abs().max()))
    assert all(float((out - expected).abs().max()) <= 1e-4 * scale for out in found)
