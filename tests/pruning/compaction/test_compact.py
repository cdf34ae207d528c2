"""A compacted network computes what the masked network does, in float64, whatever the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pruning.compaction.compact import parameters
from tests.models.graphs import NETWORKS, SHAPE
from tests.pruning.compaction.cases import MASKS, assert_same, lively

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from pruning.mask import Mask


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", NETWORKS)
def test_of_every_way_that_channels_go(name: str, kind: str) -> None:
    """Small networks under masks of every kind."""
    network = lively(NETWORKS[name]())
    make: Callable[[nn.Module, tuple[int, int, int]], Mask] = MASKS[kind]
    small = assert_same(network, SHAPE, make(network, SHAPE))
    assert parameters(small) <= parameters(network)
