"""How a mask's gates get into the network that it is a mask of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundations.errors import check_known
from models.gates import GATE, gate_name, gated
from models.wiring import wiring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn


def gates_of(names: Iterable[str]) -> list[str]:
    """Those names, of a mask or of units, that are names of gates."""
    return [name for name in names if name.startswith(GATE)]


def with_gates(network: nn.Module, shape: tuple[int, int, int], names: Iterable[str]) -> nn.Module:
    """The network with the gates that a mask names; the network itself where it names none.

    Args:
        network: It is not changed; the gates are its buffers in the copy (``models.gates``).
        shape: (channels, height, width) of the images.
        names: Of a mask; what is no gate is passed over.

    Raises:
        UserError: The network has no place for such a gate, or cannot be traced.
    """
    wanted = gates_of(names)
    if not wanted:
        return network
    sites = {gate_name(site.name): site for site in wiring(network, shape).sites.values()}
    for name in wanted:
        check_known("gate", name, sites)
    return gated(network, [sites[name] for name in wanted])
