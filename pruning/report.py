"""What a mask leaves of each layer, as plain data for ``sparsity.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from pruning.mask import Mask


class LayerReport(TypedDict):
    """One layer."""

    layer: str
    shape: list[int]
    total: int
    kept: int


class SparsityReport(TypedDict):
    """A mask, layer by layer in the order of names."""

    layers: list[LayerReport]
    total: int
    kept: int
    cut_to_nothing: list[str]
    """Layers with no entry left: the network is cut in two there, if nothing leads around them."""


def sparsity_report(mask: Mask) -> SparsityReport:
    """Counts of each layer and of all."""
    shapes = mask.shapes
    return {
        "layers": [
            {"layer": name, "shape": list(shapes[name]), "total": total, "kept": kept}
            for name, (kept, total) in mask.layers.items()
        ],
        "total": mask.total,
        "kept": mask.kept,
        "cut_to_nothing": [
            name for name, (kept, total) in mask.layers.items() if total and not kept
        ],
    }
