"""What is left of a mask when only each layer's count matters: its shuffle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from foundations.draws import generator
from foundations.errors import UserError
from pruning.choices import SHUFFLES
from pruning.counts import apportioned
from pruning.gating import gates_of
from pruning.layers import begins
from pruning.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from pruning.granularity import Granularity


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


def shuffle_globally(mask: Mask, seed: int) -> Mask:
    """The mask with its entries permuted over all layers together; only the count in all stays."""
    flat = torch.cat([keep.reshape(-1).cpu() for keep in mask.values()])
    order = torch.randperm(len(flat), generator=generator(seed, "shuffle globally"))
    parts = torch.split(flat[order], [keep.numel() for keep in mask.values()])
    return Mask(
        {
            name: part.reshape(keep.shape).to(keep.device)
            for (name, keep), part in zip(mask.items(), parts, strict=True)
        }
    )


def shuffle_evenly(mask: Mask, seed: int) -> Mask:
    """A random mask of the same count in all, of which every layer keeps the same fraction."""
    counts = apportioned(mask.kept, [layer.total for layer in mask.layers.values()])
    even = {}
    for (name, keep), count in zip(mask.items(), counts, strict=True):
        first = torch.arange(keep.numel(), device=keep.device) < count
        even[name] = first.reshape(keep.shape)
    return shuffle_layerwise(Mask(even), seed)


def shuffle_units(
    mask: Mask,
    granularity: Granularity,
    seed: int,
    *,
    how: str = "layerwise",
    within: Mask | None = None,
    ignored: Collection[str] = (),
) -> Mask:
    """The mask with what is kept or cut as one permuted as one; biases and norms follow.

    Args:
        mask: What to shuffle.
        granularity: By which it was pruned.
        seed: Decides the permutations.
        how: One of ``SHUFFLES``.
        within: What was kept before, for ``layerwise`` alone: see ``shuffle_layerwise``.
        ignored: The beginnings of the names of layers that were not to be pruned: they are what
            they were, where layers exchange what they keep.

    Raises:
        UserError: The mask cuts something else than units of this granularity, or a shuffle would
            break what the granularity promises.
    """
    units = granularity.units(mask)
    primary = {*mask.weights, *gates_of(mask)}
    device = next(iter(mask.values())).device
    whole = Mask.dense(mask, primary) if within is None else within.to(device)
    _check_units(mask, granularity, units, whole)
    if within is not None:
        shuffled = shuffle_layerwise(units, seed, within=granularity.units(whole))
    else:
        chosen = units if how == "layerwise" else _without(units, ignored)
        shuffled = Mask({**units, **SHUFFLES[how](chosen, seed)})
    return granularity.mask(shuffled, whole)


def _check_units(mask: Mask, granularity: Granularity, units: Mask, whole: Mask) -> None:
    """Refuse a mask that is not what its units make of the whole, and one of neighbours."""
    if granularity.goal(units) is not None:
        raise UserError(
            "A mask of which every few neighbours keep as many cannot be shuffled: it would not be "
            "one any more. Prune with --strategy=random --granularity=n_m."
        )
    if granularity.mask(units, whole) != mask:
        raise UserError(
            "The mask does not keep or cut what --granularity names as one: it was pruned in more "
            "ways than one, and there is no saying what is to be shuffled."
        )


def _without(units: Mask, ignored: Collection[str]) -> Mask:
    return Mask({n: units[n] for n in units if not any(begins(n, layer) for layer in ignored)})
