"""Which rules initialize weights and batch norms, by name. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundations.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from models.weight_initializers import Draw

    WeightInitializer = Callable[[nn.Conv2d | nn.Linear, Draw], None]


@dataclass(frozen=True)
class BatchnormInitializer:
    """Scales drawn from U(low, high), and one value for all shifts."""

    low: float
    high: float
    shift: float


INITIALIZERS: Registry[WeightInitializer] = Registry(
    "initializer",
    {
        name: f"models.weight_initializers:{name}"
        for name in (
            "kaiming_normal",
            "kaiming_uniform",
            "xavier_normal",
            "orthogonal",
            "binary",
            "standard_normal",
            "scaled_normal",
            "uniform",
            "pytorch_default",
            "wide_resnet",
            "kaiming_fan_out",
            "vgg",
        )
    },
)
"""How the weights of convolutions and linear layers are drawn; the rules are described where they
are written."""

BATCHNORM_INITIALIZERS: Registry[BatchnormInitializer] = Registry(
    "batch norm initializer",
    {
        "uniform": BatchnormInitializer(0.0, 1.0, 0.0),
        "fixed": BatchnormInitializer(1.0, 1.0, 0.0),
        "oneone": BatchnormInitializer(1.0, 1.0, 1.0),
        "positivenegative": BatchnormInitializer(-1.0, 1.0, 0.0),
        "half": BatchnormInitializer(0.5, 0.5, 0.0),
    },
)
"""How the scales (gamma) and shifts (beta) of batch norms begin."""

BIAS_INITIALIZERS: Registry[float] = Registry(
    "bias initializer", {"pytorch_default": 1.0, "zeros": 0.0}
)
"""How the biases of convolutions and linear layers begin: they are drawn from U(-s/sqrt(fan-in),
s/sqrt(fan-in)), and this is the s."""
