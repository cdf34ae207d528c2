"""What is measured: the network of a run, at a state, as its mask leaves it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from torch.func import functional_call

from foundations.errors import check_known
from models.build import BATCHNORMS
from models.gates import GATE, gate_tensors, gated
from models.wiring import wiring
from pruning.criteria import Examples
from training.numerics import numerics_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from datasets.loader import Batch
    from models.graph.flow import Site
    from models.wiring import Wiring
    from pruning.mask import Mask
    from training.numerics import Numerics
    from training.setting import Setting
    from training.state import State


@dataclass(frozen=True)
class Subject:
    """A network at a state.

    Args:
        setting: Its recipe, data and device.
        weights: Parameters and buffers by name, on the device, in the dtype of the profile; what
            is cut is zero.
        mask: What is kept; None is everything.
    """

    setting: Setting
    weights: Mapping[str, Tensor]
    mask: Mask | None = None

    @classmethod
    def of(cls, setting: Setting, state: State) -> Subject:
        """The subject that a state is.

        Raises:
            UserError: The state, or its mask, is another network's.
        """
        setting.check_fits(state.weights)
        weights = state.weights if state.mask is None else state.mask.apply(state.weights)
        return cls(setting, setting.on_device(weights), state.mask)

    def at(self, weights: Mapping[str, Tensor]) -> Subject:
        """The same with other values for some of its weights and buffers."""
        return replace(self, weights={**self.weights, **weights})

    def network(self, taps: Sequence[Site] = ()) -> nn.Module:
        """A network of its own, in evaluation mode, with the mask's gates: for ``logits``.

        Args:
            taps: Where given, it returns the activations at these sites, not logits.

        Raises:
            UserError: It cannot be traced, and has gates or is tapped; or it has no such gate.
        """
        bare = self.setting.network().to(self.numerics.dtype)
        gates = [name.removeprefix(GATE) for name in self.mask or () if name.startswith(GATE)]
        if not taps and not gates:
            return bare.eval()
        sites = self.wiring.sites
        for name in gates:
            check_known("place for a gate", name, sites)
        network = gated(bare, [sites[name] for name in gates], taps=taps)
        for name, values in gate_tensors(self.mask or {}, self.numerics.dtype).items():
            network.get_buffer(name).copy_(values)
        return network.eval()

    def call(self, network: nn.Module, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """What the network gives for images, in the arithmetic of the recipe.

        Args:
            network: As ``network`` makes it.
            weights: Parameters and buffers; those that a batch norm writes to are changed.
            images: (B, C, H, W), normalized.
        """
        with self.numerics.arithmetic(images.device):
            given: Tensor = functional_call(
                network, dict(weights), (images.to(self.numerics.dtype),)
            )
        return given

    def training_batches(self, batches: int) -> Sequence[Batch]:
        """Batches of training examples, not augmented, in an order keyed by the run's seed.

        Raises:
            UserError: There are not so many.
        """
        data = self.setting.scoring_data(self.setting.order_seed)
        return data.batches(Examples(batches=batches))

    @property
    def numerics(self) -> Numerics:
        """The arithmetic."""
        return numerics_of(self.setting.recipe.training.numerics)

    @cached_property
    def wiring(self) -> Wiring:
        """The network's channels and sites.

        Raises:
            UserError: It cannot be traced.
        """
        return wiring(self.setting.network(), self.setting.data.shape)


def batch_norms(network: nn.Module) -> dict[str, nn.Module]:
    """The batch norms that keep statistics, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, BATCHNORMS) and module.track_running_stats
    }
