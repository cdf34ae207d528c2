"""How an initialization is fitted to what a mask has left."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from models.wiring import wiring
from pruning.liveness import channels_left

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.liveness import Bools
    from pruning.mask import Mask


def scaled_to_survivors(weights: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
    """Each weight times the root of the fan-in over the mean fan-in that is left in its layer.

    A variance of 2 / fan-in becomes 2 / (surviving fan-in), as in training from scratch in
    "Rethinking the Value of Network Pruning" (Liu et al. 2019), whose n is the count of surviving
    weights over the number of outputs. A layer with nothing left is passed on as it is.
    """
    scaled = dict(weights)
    for name, (kept, total) in mask.layers.items():
        if name in weights and weights[name].dim() > 1 and kept:
            scaled[name] = weights[name] * math.sqrt(total / kept)
    return scaled


def left_of(
    network: nn.Module, shape: tuple[int, int, int], mask: Mask
) -> dict[str, tuple[Bools, Bools]]:
    """Of each layer, the outputs and the inputs that lie on a path, as compaction keeps them.

    Args:
        network: Its values do not matter.
        shape: (channels, height, width) of the images.
        mask: Of its weights.
    """
    kept = {name: value.cpu().numpy() for name, value in mask.items()}
    return channels_left(wiring(network, shape).flow, kept)
