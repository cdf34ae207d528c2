"""What flows where: a network as steps between wires, each wire one channel at one place.

A wire is what one channel carries between two operations that change what it stands for. ReLU,
pooling or dropout leave a wire as it is; a convolution, a batch norm, a sum begin new ones. Moving
numbers about (flattening, concatenation, slices) makes no steps at all: the wires move.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Wires = NDArray[np.int64]
"""Numbers of wires, from 0; or one of the two below."""

ZERO = -1
"""In the place of a wire: zeros that the network puts there itself, as padding."""

CONSTANT = -2
"""In the place of a wire: a number that does not depend on the image."""

Kind = Literal[
    "image", "mix", "scale", "norm", "add", "multiply", "shift", "gate", "bound", "opaque", "output"
]


@dataclass(frozen=True, eq=False)
class Step:
    """One operation on wires, in the order of the network.

    ====================  ==========================================================================
    image                 begins the channels of the image
    mix                   convolution or linear layer ``name``: an output reads all sources of its
                          group
    scale                 depthwise convolution ``name``: an output reads one source
    norm                  batch or instance norm ``name``, channel by channel
    add, multiply         of two tensors, element by element: two rows of sources
    shift                 a function that is not 0 at 0, such as the sigmoid, element by element
    gate                  the place of the gate ``name``; nothing happens there
    bound                 no outputs: these channels must stay as many as they are
    opaque                an unknown operation: its one output reads all sources
    output                no outputs: the network's own
    ====================  ==========================================================================
    """

    kind: Kind
    name: str
    """Of the module, or of the gate; else empty."""

    sources: Wires
    """(rows, wires): rows 2 for add and multiply, else 1."""

    outputs: Wires
    """(wires,): as many as in a row of sources, but for mix and opaque."""

    groups: int = 1
    """Of a convolution."""

    @property
    def elementwise(self) -> bool:
        """Whether each output is made of the sources at its own place alone."""
        return self.kind in {"scale", "norm", "add", "multiply", "shift", "gate"}


@dataclass(frozen=True)
class Site:
    """A place for a gate: after an activation or a sum."""

    name: str
    """``blocks.0.relu_1``: where it is, and what stands there."""

    kind: Literal["activation", "sum"]
    """A sum has a site of its own where more than an activation reads it."""

    width: int
    """How many channels (units) it has: the length of its gate."""

    node: str
    """The name of the node in the graph that it comes after."""


class Lane(NamedTuple):
    """Where the channels of a tensor are."""

    axis: int
    """The dimension along which each index is one channel."""

    wires: Wires
    """(size along the axis,), constants among them."""


@dataclass(frozen=True, eq=False)
class Flow:
    """A network as steps."""

    steps: tuple[Step, ...]
    wires: int
    """How many wires there are."""

    sites: dict[str, Site]
    """By name: every site, in the order of the network."""

    shapes: dict[str, tuple[int, ...]]
    """The shape of each layer's output for one image, by the name of the module."""

    positions: dict[str, int]
    """At how many places each convolution or linear layer is applied to one image."""

    lanes: dict[str, Lane] = field(default_factory=dict)
    """By the name of the node in the graph: the channels of its output, behind its gates. Only of
    single tensors that images go into, and whose channels are told apart."""
