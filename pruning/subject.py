"""What is pruned, and how it was asked for: all that a choice may depend on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from models.build import prunable
from models.wiring import wiring

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from models.wiring import Wiring
    from pruning.hparams import PruningHparams
    from pruning.mask import Mask


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to be pruned.

    Args:
        network: Its own tensors mean nothing; neither they nor its modes are changed.
        hparams: How it is to be pruned.
        shape: (channels, height, width) of the images; the network's graph is found with it.
        matched: The mask whose counts are to be matched, if the allocation asks for one.
        initial: The weights that the run began from, by which distances are measured.
    """

    network: nn.Module
    hparams: PruningHparams
    shape: tuple[int, int, int] | None = None
    matched: Mask | None = None
    initial: Mapping[str, Tensor] | None = field(default=None, repr=False)

    @cached_property
    def prunable(self) -> tuple[str, ...]:
        """The names of the weights that can be pruned, sorted."""
        return tuple(prunable(self.network))

    @cached_property
    def wiring(self) -> Wiring:
        """Which channels of the network are the same channel.

        Raises:
            UserError: The network's graph cannot be traced.
        """
        if self.shape is None:
            raise ValueError("The shape of the images says how the network is wired: give it.")
        return wiring(self.network, self.shape)
