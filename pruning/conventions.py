"""How the operations of a network are counted: our way, and those of published code, by name.

A convention is a number for each operation for one image, by the operation's name. Tools that look
at modules do not see what a network calls as a function. So that the published numbers come out,
a convention says which operations of which original its tool counted otherwise, whatever ours
calls. Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from foundations.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Rule = Callable[["Operation"], int]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call of a layer or function, for one image."""

    name: str
    """What PyTorch calls it, without case and underscores: ``conv2d``, ``batchnorm2d``, ``relu``,
    ``avgpool2d``, ``mean``."""

    inputs: int = 0
    """How many numbers the first tensor that it reads has."""

    outputs: int = 0
    """How many numbers it gives."""

    weights: int = 0
    """Entries of its weight; 0 where it has none."""

    kept: int = 0
    """Those that the mask keeps."""

    biases: int = 0
    """Entries of its bias; 0 where it has none."""

    positions: int = 0
    """Of a convolution or linear layer: at how many places it is applied."""

    window: int = 1
    """Of a pool: how many numbers each output is made of."""


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What each operation counts for.

    Args:
        unit: What is counted.
        rules: By the name of an operation; others count nothing.
        originals: By the beginning of a network's name: other rules for the network that it has in
            the original, where those above would not give the number that was published.
    """

    unit: str
    rules: Mapping[str, Rule]
    originals: Mapping[str, Mapping[str, Rule]] = field(default_factory=dict)

    def count(self, operations: Iterable[Operation], network: str = "") -> int:
        """The sum over a network's operations, for one image.

        Args:
            operations: As ``pruning.counting.operations`` finds them.
            network: The name of the network; without one, every operation is counted.
        """
        rules = dict(self.rules)
        for beginning, own in self.originals.items():
            if network.startswith(beginning):
                rules |= own
        return sum(rules[each.name](each) for each in operations if each.name in rules)


def _nothing(_: Operation) -> int:
    return 0


def _kept(operation: Operation) -> int:
    return operation.kept * operation.positions


def _dense(operation: Operation) -> int:
    return operation.weights * operation.positions


def _dense_and_bias(operation: Operation) -> int:
    return (operation.weights + operation.biases) * operation.positions


def _two_for_each_kept(operation: Operation) -> int:
    return (2 * operation.kept + operation.biases) * operation.positions


def _two_for_each(operation: Operation) -> int:
    return (2 * operation.weights + operation.biases) * operation.positions


def _inputs(operation: Operation) -> int:
    return operation.inputs


def _twice_the_inputs(operation: Operation) -> int:
    return 2 * operation.inputs


def _windows(operation: Operation) -> int:
    return operation.window * operation.outputs


def _for_each_feature(operation: Operation) -> int:
    """Squeezing a batch of one image leaves its features, which are then taken for a batch."""
    return operation.inputs * _dense_and_bias(operation)


def _each(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_MAC = "multiply-accumulates"
_OPERATION = "operations"
_AVERAGES = "avgpool2d adaptiveavgpool2d mean"
_POOLS = f"{_AVERAGES} maxpool2d adaptivemaxpool2d"
_FUNCTIONS = _each(f"relu {_POOLS}", _nothing)
"""Activations and pools that the original calls as functions."""

MACS = Convention(unit=_MAC, rules=_each("conv1d conv2d conv3d linear", _kept))
"""One for each kept weight and place where it is applied, as in ``pruning.accounting``."""

PTFLOPS = Convention(
    unit=_MAC,
    rules={
        **_each("conv1d conv2d conv3d linear", _dense_and_bias),
        **_each("batchnorm batchnorm1d batchnorm2d batchnorm3d", _twice_the_inputs),
        **_each(f"relu relu6 leakyrelu elu prelu {_POOLS}", _inputs),
    },
    originals=dict.fromkeys(
        (
            "gradient_flow_resnet",
            "cifar_resnet",
            "cifar_imagenet_resnet",
            "tinyimagenet_modifiedresnet",
            "cifar_mobilenet",
        ),
        _FUNCTIONS,
    ),
)
"""ptflops 0.6.2, with which Lubana and Dick 2021 count: zeros of a mask are counted. Activations
and pools are modules in their VGG, and functions, which it does not see, in their other networks.
"""

RETHINKING = Convention(
    unit=_OPERATION,
    rules={
        **_each("conv2d", _two_for_each_kept),
        **_each("linear", _two_for_each),
        **_each("batchnorm batchnorm2d", _twice_the_inputs),
        **_each("relu", _inputs),
        **_each("avgpool2d mean maxpool2d", _windows),
    },
    originals={"cifar_densenet": _each("avgpool2d", _nothing)},
)
"""Of "Rethinking the Value of Network Pruning" (Liu et al. 2019), weight level: two operations for
each weight of a convolution that is not zero and for every one of a linear layer. The pools between
the blocks of a DenseNet are functions there, the last one is a module."""

MEASURE_MODEL = Convention(
    unit=_MAC,
    rules={
        **_each("conv2d", _dense),
        **_each("linear", _dense_and_bias),
        **_each("relu", _inputs),
        **_each(_AVERAGES, _windows),
    },
    originals={
        "cifar_wide_resnet": _each(_AVERAGES, _nothing),
        "cifar_densenet": {**_FUNCTIONS, "linear": _for_each_feature},
    },
)
"""``measure_model`` of CondenseNet, as the Fisher pruning of channels has it (Crowley et al. 2018,
arXiv 1810.04622): zeros of a mask are counted, batch norms and max-pools are not. In their DenseNet
activations and pools are functions, and the linear layer is counted once for each of its inputs."""

CONVENTIONS: Registry[Convention] = Registry(
    "counting convention",
    {
        "macs": MACS,
        "ptflops": PTFLOPS,
        "rethinking": RETHINKING,
        "measure_model": MEASURE_MODEL,
    },
)
"""By name; ``CONVENTIONS.add(name, Convention(...))`` adds one of one's own."""
