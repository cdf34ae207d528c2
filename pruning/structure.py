"""What ``sparsity.json`` says of a pruned network beyond counts of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from foundations.errors import UserError
from pruning.accounting import account

if TYPE_CHECKING:
    from torch import Tensor, nn

    from foundations.hparams import Json
    from pruning.accounting import Account
    from pruning.mask import Mask
    from pruning.report import SparsityReport

_PATHS = ("weights_effective", "macs", "macs_kept", "macs_effective")


def structured(
    report: SparsityReport, mask: Mask, network: nn.Module, shape: tuple[int, int, int]
) -> dict[str, Json]:
    """The report with more fields, of each layer and of all.

    ``kernels``, ``kernels_alive``, ``channels`` and ``channels_alive``; and where the network can
    be traced ``weights_effective``, ``macs``, ``macs_kept`` and ``macs_effective``, as in
    ``pruning.accounting``. Then also ``cut_off``, the layers with weights left of which none is
    effective, and ``no_path``: whether no path is left through the whole network.

    Args:
        report: Of the mask.
        mask: Of the network.
        network: Its values do not matter.
        shape: (channels, height, width) of the images.
    """
    counted = _accounted(network, shape, mask)
    rows = counted["layers"] if counted else []
    paths = {row["layer"]: cast("dict[str, Json]", row["counts"]) for row in rows}
    more = {row["layer"]: _alive(mask[row["layer"]]) for row in report["layers"]}
    for layer, counts in paths.items():
        if layer in more:
            more[layer] |= {name: counts[name] for name in _PATHS}
    sums: dict[str, int] = {}
    for counts in more.values():
        sums |= {name: sums.get(name, 0) + value for name, value in counts.items()}
    layers = [{**row, **more[row["layer"]]} for row in report["layers"]]
    whole = {**report, "layers": layers, **sums}
    if counted is None:
        return whole
    no_path = not counted["total"]["weights_effective"]
    return {**whole, "cut_off": counted["cut_off"], "no_path": no_path}


def _accounted(network: nn.Module, shape: tuple[int, int, int], mask: Mask) -> Account | None:
    """None where the network cannot be traced."""
    try:
        return account(network, shape, mask)
    except UserError:
        return None


def _alive(kept: Tensor) -> dict[str, int]:
    """Kernels (pairs of an output and an input) and output channels: all, and those with a weight.

    Args:
        kept: (outputs, inputs, ...).
    """
    kernels = kept.flatten(2).any(2) if kept.dim() > 2 else kept
    return {
        "kernels": kernels.numel(),
        "kernels_alive": int(kernels.sum()),
        "channels": len(kernels),
        "channels_alive": int(kernels.any(1).sum()),
    }
