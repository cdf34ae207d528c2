"""The stem, the inner layers and the outer layers of residual networks, each kind for itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from foundations.errors import UserError
from models.gates import GATE
from models.graph.labels import labels
from pruning.allocations.groups import same_fraction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.wiring import Wiring
    from pruning.allocations import Room, Share
    from pruning.subject import Subject

KINDS = ("stem", "inner", "outer", "output")


@dataclass(frozen=True)
class Stages:
    """Each kind of layer keeps the same fraction; the layers of a kind compete.

    The groups by_res_type of "Fine Granularity is Critical for Intelligent Neural Network
    Pruning": the first convolution; those whose channels nothing is added to (the first of a
    block, or two of a bottleneck); those whose channels are summands (the last of a block, and
    the convolutions of shortcuts). There, shortcuts and the last linear layer are not pruned;
    here, that is for ``layers_to_ignore`` to say, and a last layer that is not ignored is a kind
    of its own.
    """

    kinds: Mapping[str, str]
    """By the name of the layer, or of the gate."""

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """As the network is wired.

        Raises:
            UserError: No two layers are added up in it.
        """
        kinds = _kinds(subject.wiring)
        if "outer" not in kinds.values():
            raise UserError(
                "--allocation=stages is for residual networks, and nothing is added up in "
                f"{type(subject.network).__name__}: give another, such as --allocation=groups."
            )
        return cls(kinds)

    def shares(self, layers: Mapping[str, Room], kept: int) -> list[Share]:
        """One share a kind."""
        groups: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for name in sorted(layers):
            groups[self.kinds[_layer(name)]].append(name)
        return same_fraction(list(groups.values()), layers, kept)


def _layer(name: str) -> str:
    """What the wiring calls that which has the weight or the gate."""
    return name if name.startswith(GATE) else name.rpartition(".")[0]


def _kinds(wiring: Wiring) -> dict[str, str]:
    """The kind of each layer, and of each place for a gate."""
    makers = Counter(label for made in wiring.producers.values() for label in set(made.tolist()))
    shared = {label for label, layers in makers.items() if layers > 1}
    label_of = np.append(labels(wiring.flow), [-1, -1])
    layers = {name: made.tolist() for name, made in {**wiring.carriers, **wiring.producers}.items()}
    gates = {
        f"{GATE}{step.name}": label_of[step.outputs].tolist()
        for step in wiring.flow.steps
        if step.kind == "gate"
    }
    kinds = {
        name: "output" if wiring.outputs & set(made) else "outer" if shared & set(made) else "inner"
        for name, made in (layers | gates).items()
    }
    stems = (next(iter(wiring.producers), None), next(iter(gates), None))
    return kinds | {stem: "stem" for stem in stems if stem is not None}
