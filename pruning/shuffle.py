"""What is left of a mask when only each layer's count matters: its shuffle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foundations.draws import generator
from pruning.mask import Mask

if TYPE_CHECKING:
    from torch import Tensor


def shuffle_layerwise(mask: Mask, seed: int, *, within: Mask | None = None) -> Mask:
    """The mask with the entries of each layer permuted, keyed by the seed and the layer's name.

    Every layer keeps its count, and its permutation does not depend on what other layers there are.

    Args:
        mask: What to shuffle.
        seed: Decides the permutations.
        within: What was kept before, of which ``mask`` is a part: only these entries are permuted,
            so that none that was cut comes back. None is everything.
    """
    places = Mask.dense(mask, mask) if within is None else within
    return Mask({name: _shuffled(name, keep, places[name], seed) for name, keep in mask.items()})


def _shuffled(name: str, keep: Tensor, places: Tensor, seed: int) -> Tensor:
    shuffled = torch.zeros_like(keep)
    open_places = keep[places.to(keep.device)]
    order = torch.randperm(len(open_places), generator=generator(seed, "shuffle", name))
    shuffled[places.to(keep.device)] = open_places[order.to(keep.device)]
    return shuffled
