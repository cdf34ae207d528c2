"""A network three times: dense, under its mask, and compacted; and real images to run them on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import torch

from datasets.loader import EvalLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from training.measures.subject import Subject

DENSE, MASKED, COMPACTED = "dense", "masked", "compacted"


@dataclass(frozen=True)
class Variants:
    """The networks to compare, in evaluation mode, as the run's numerics lay them out.

    Args:
        subject: The network at a state. Without a mask there is nothing but the dense one.
    """

    subject: Subject

    @cached_property
    def networks(self) -> Mapping[str, nn.Module]:
        """By name, the dense one first.

        ``dense`` is the architecture with weights of PyTorch's own, none of them zero; of a run
        without a mask, its network. ``masked`` has the mask's zeros, and its gates. ``compacted``
        is the smaller network that gives the same outputs.

        Raises:
            UserError: The network cannot be traced.
        """
        subject = self.subject
        if subject.mask is None:
            return {DENSE: self._laid_out(_loaded(subject.network(), subject.weights))}
        from pruning.compaction.compact import compacted

        bare = subject.setting.network().to(subject.numerics.dtype)
        found = {
            DENSE: bare,
            MASKED: _loaded(subject.network(), subject.weights),
            COMPACTED: compacted(bare, subject.setting.data.shape, subject.weights, subject.mask),
        }
        return {name: self._laid_out(network) for name, network in found.items()}

    def images(self, count: int) -> Tensor:
        """The first so many images of the test split, normalized; again from the first, if few."""
        setting, numerics = self.subject.setting, self.subject.numerics
        data = setting.data
        loader = EvalLoader(
            data.test,
            data,
            batch_size=count,
            device=setting.device,
            memory_format=numerics.memory_format,
        )
        images, _ = next(iter(loader))
        enough = images.repeat(-(-count // len(images)), 1, 1, 1)[:count]
        return enough.to(numerics.dtype, memory_format=numerics.memory_format)

    def calls(self, images: Tensor) -> dict[str, Callable[[], object]]:
        """For each network, what runs it on the images and returns when that is done."""
        return {name: partial(self._call, each, images) for name, each in self.networks.items()}

    def _call(self, network: nn.Module, images: Tensor) -> None:
        with self.subject.numerics.arithmetic(images.device):
            network(images)
        if images.device.type != "cpu":
            torch.accelerator.synchronize(images.device)

    def _laid_out(self, network: nn.Module) -> nn.Module:
        return network.eval().to(memory_format=self.subject.numerics.memory_format)


def _loaded(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """Gates stay as they are."""
    network.load_state_dict({**network.state_dict(), **weights})
    return network
