"""Networks and masks for the tests of compaction, and what a masked network computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from foundations.draws import generator
from models.build import prunable
from models.gates import gate_name, gate_tensors, gated
from models.wiring import groups, silenced, wiring
from pruning.compaction.compact import compacted
from pruning.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import fx

Shape = tuple[int, int, int]


@torch.no_grad()
def lively(network: nn.Module) -> nn.Module:
    """The network in float64, nothing about it zero: shifts, biases and statistics are drawn."""
    network = network.double().eval()
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        draw = torch.randn(tensor.shape, generator=generator(5, name), dtype=torch.float64)
        if tensor.dim() > 1:
            tensor.copy_(draw / max(tensor[0].numel(), 1) ** 0.5 * 1.4)
        elif name.endswith("running_var"):
            tensor.copy_(draw.abs() + 0.5)
        else:
            tensor.copy_(0.3 * draw + float(name.endswith("weight")))
    return network


def images(shape: Shape, count: int = 3) -> Tensor:
    """Drawn images."""
    return torch.randn((count, *shape), generator=generator(6, "x"), dtype=torch.float64)


def reference(network: nn.Module, shape: Shape, mask: Mask, x: Tensor) -> Tensor:
    """What the masked network computes: weights that are cut are zeros, gates multiply."""
    gates = gate_tensors(mask, torch.float64)
    every = wiring(network, shape).flow.sites.values() if gates else ()
    sites = [site for site in every if gate_name(site.name) in mask]
    with torch.no_grad():
        tensors = mask.apply(network.state_dict()) | gates
        with_gates = gated(network, sites) if sites else network
        out: Tensor = torch.func.functional_call(with_gates, tensors, (x,))
    return out


def assert_same(network: nn.Module, shape: Shape, mask: Mask) -> fx.GraphModule:
    """The compacted network computes what the masked network does; it is given back."""
    small = compacted(network, shape, network.state_dict(), mask)
    x = images(shape)
    expected = reference(network, shape, mask, x)
    with torch.no_grad():
        found = small(x)
        one = small(x[:1])
    assert found.shape == expected.shape
    scale = expected.abs().max().clamp(min=1e-3)
    assert float((found - expected).abs().max() / scale) < 1e-10
    assert float((one - expected[:1]).abs().max() / scale) < 1e-10
    assert all(tensor.numel() for tensor in small.state_dict().values())
    return small


def random_mask(network: nn.Module, density: float, seed: int = 0) -> Mask:
    """Each weight by itself."""
    drawn = {
        name: torch.rand(network.get_parameter(name).shape, generator=generator(seed, name))
        for name in prunable(network)
    }
    return Mask({name: draw < density for name, draw in drawn.items()})


def channel_mask(
    network: nn.Module, shape: Shape, coupling: str, density: float, seed: int = 0
) -> Mask:
    """Channels, with the norms that nothing else reaches."""
    wires = wiring(network, shape)
    cut = {name: np.zeros(len(made), dtype=bool) for name, made in wires.producers.items()}
    draw = generator(seed, coupling)
    for group in groups(wires, coupling):
        if float(torch.rand((), generator=draw)) >= density:
            for layer, channel in group:
                cut[layer][channel] = True
    return without(network, cut | silenced(wires, cut))


def without(network: nn.Module, cut: Mapping[str, NDArray[np.bool_]]) -> Mask:
    """Cut, of each module, these channels: rows of its weight and entries of its bias."""
    found = {}
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    for module, gone in cut.items():
        for name in (f"{module}.weight", f"{module}.bias"):
            if name in shapes:
                rows = torch.from_numpy(~gone).reshape(-1, *(1 for _ in shapes[name][1:]))
                found[name] = rows.expand(shapes[name])
    return Mask(found)


def gate_mask(network: nn.Module, shape: Shape, density: float, seed: int = 0) -> Mask:
    """Gates, and some weights."""
    sites = wiring(network, shape).sites
    kept = {
        gate_name(name): torch.rand(site.width, generator=generator(seed, name)) < density
        for name, site in sites.items()
    }
    return Mask({**kept, **random_mask(network, 0.5, seed)})


def nothing(network: nn.Module) -> Mask:
    """No weight of any layer is kept."""
    return Mask(
        {name: torch.zeros_like(network.get_parameter(name)) > 0 for name in prunable(network)}
    )


MASKS: dict[str, Callable[[nn.Module, Shape], Mask]] = {
    "empty": lambda _network, _shape: Mask({}),
    "random_0.3": lambda network, _shape: random_mask(network, 0.3),
    "random_0.02": lambda network, _shape: random_mask(network, 0.02),
    "inner": lambda network, shape: channel_mask(network, shape, "inner", 0.4),
    "grouped": lambda network, shape: channel_mask(network, shape, "grouped", 0.5),
    "independent": lambda network, shape: channel_mask(network, shape, "independent", 0.5),
    "gates": lambda network, shape: gate_mask(network, shape, 0.5),
    "nothing": lambda network, _shape: nothing(network),
}
"""By name: how a mask is drawn for a network and a shape of images."""
