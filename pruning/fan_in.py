"""How an initialization is fitted to the inputs that a mask has left."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

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
