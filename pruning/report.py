"""What a mask leaves of each layer, as plain data for ``sparsity.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from pruning.mask import Mask


class LayerReport(TypedDict):
    """One layer, or what else a mask has an entry of."""

    layer: str
    shape: list[int]
    total: int
    kept: int


class SparsityReport(TypedDict):
    """A mask, layer by layer in the order of names."""

    layers: list[LayerReport]
    """The weights that can be pruned."""
    total: int
    """Of these."""
    kept: int
    cut_to_nothing: list[str]
    """Layers and gates with no entry left: the network is cut in two there, if nothing leads around
    them."""
    others: NotRequired[list[LayerReport]]
    """Biases and norms that were cut with channels, and gates; absent where there are none."""


def sparsity_report(mask: Mask) -> SparsityReport:
    """Counts of each layer and of all."""
    from models.gates import GATE

    weights = mask.weights
    report: SparsityReport = {
        "layers": [_layer(mask, name) for name in weights],
        "total": weights.total,
        "kept": weights.kept,
        "cut_to_nothing": [
            name
            for name, (kept, total) in mask.layers.items()
            if total and not kept and (name in weights or name.startswith(GATE))
        ],
    }
    others = [_layer(mask, name) for name in mask if name not in weights]
    return {**report, "others": others} if others else report


def _layer(mask: Mask, name: str) -> LayerReport:
    kept, total = mask.layers[name]
    return {"layer": name, "shape": list(mask.shapes[name]), "total": total, "kept": kept}
