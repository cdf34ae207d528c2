"""Which networks there are, by name. Nothing here imports torch."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

from foundations.errors import UserError
from foundations.registry import Registry
from models.family import Arguments, Family, Preset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WIDTHS = r"[1-9]\d*(?:_[1-9]\d*)*"
_ALIKE = 0.5
"""How alike two names must be (difflib's ratio) for one to be suggested for the other."""

_INITIALIZERS: Preset = {"model_init": "kaiming_normal", "batchnorm_init": "uniform"}
_CIFAR_PRESET: Preset = {
    **_INITIALIZERS,
    "dataset_name": "cifar10",
    "batch_size": 128,
    "optimizer_name": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
    "milestone_steps": "80ep,120ep",
    "gamma": 0.1,
    "weight_decay": 1e-4,
    "training_steps": "160ep",
}


def _resnet_depth(arguments: Arguments) -> bool:
    depth = int(arguments["depth"])
    return depth >= 8 and depth % 6 == 2


_FAMILIES = (
    Family(
        name="digits_lenet",
        form="digits_lenet[_A_B...]",
        rule="A, B, ... are the widths of the hidden layers, 300 and 100 unless given",
        examples=("digits_lenet", "digits_lenet_300_100", "digits_lenet_100"),
        pattern=rf"digits_lenet(?:_(?P<widths>{_WIDTHS}))?",
        builder="models.lenet:build",
        preset={
            **_INITIALIZERS,
            "dataset_name": "digits",
            "batch_size": 64,
            "optimizer_name": "sgd",
            "lr": 0.1,
            "training_steps": "40ep",
        },
    ),
    Family(
        name="mnist_lenet",
        form="mnist_lenet_A_B...",
        rule="A, B, ... are the widths of the hidden layers, at least one",
        examples=("mnist_lenet_300_100", "mnist_lenet_100", "mnist_lenet_1000_500"),
        pattern=rf"mnist_lenet_(?P<widths>{_WIDTHS})",
        builder="models.lenet:build",
        preset={
            **_INITIALIZERS,
            "dataset_name": "mnist",
            "batch_size": 128,
            "optimizer_name": "sgd",
            "lr": 0.1,
            "training_steps": "40ep",
        },
    ),
    Family(
        name="cifar_resnet",
        form="cifar_resnet_N[_W]",
        rule="the depth N is 6D+2 (8, 14, 20, 26, 32, 38, 44, 50, 56, ..., 110, ...), "
        "the width W at least 1 and 16 unless given",
        examples=(
            *(f"cifar_resnet_{depth}" for depth in (20, 8, 14, 26, 32, 38, 44, 50, 56, 110)),
            "cifar_resnet_20_64",
        ),
        pattern=r"cifar_resnet_(?P<depth>[1-9]\d*)(?:_(?P<width>[1-9]\d*))?",
        allowed=_resnet_depth,
        builder="models.cifar_resnet:build",
        preset=_CIFAR_PRESET,
    ),
    Family(
        name="cifar_vgg",
        form="cifar_vgg_D",
        rule="the depth D is 11, 13, 16 or 19",
        examples=("cifar_vgg_16", "cifar_vgg_11", "cifar_vgg_13", "cifar_vgg_19"),
        pattern=r"cifar_vgg_(?P<depth>11|13|16|19)",
        builder="models.cifar_vgg:build",
        preset=_CIFAR_PRESET,
    ),
)

MODELS: Registry[Family] = Registry("model family", {family.name: family for family in _FAMILIES})
"""The families of networks; ``MODELS.add(name, Family(...))`` adds one of one's own."""


class Found(NamedTuple):
    """A network that there is: its family, and the parts of its name."""

    family: Family
    arguments: Arguments


def families() -> Iterator[Family]:
    """All families, in the order in which they were added."""
    return (MODELS[name] for name in MODELS)


def find(model_name: str, what: str = "model") -> Found:
    """The family of a network's name, and the parts of the name.

    Args:
        model_name: Such as ``cifar_resnet_20``.
        what: What the name stands for, as the error message says it.

    Raises:
        UserError: There is no such network; says how names are written, and suggests the nearest.
    """
    for family in families():
        arguments = family.arguments(model_name)
        if arguments is not None:
            return Found(family, arguments)
    raise _unknown(model_name, what)


def _unknown(model_name: str, what: str) -> UserError:
    meant = next((family for family in families() if model_name.startswith(family.name)), None)
    rules = [f"{family.form} ({family.rule})" for family in ([meant] if meant else families())]
    near = _nearest(model_name, meant)
    hint = f" Did you mean {near!r}?" if near else ""
    return UserError(f"There is no {what} {model_name!r}.{hint} Allowed: {'; '.join(rules)}.")


def _nearest(model_name: str, meant: Family | None) -> str | None:
    """Of the family that was meant, the network of the nearest size; else the name most alike."""
    if meant is not None:
        wanted = _numbers(model_name)
        return min(meant.examples, key=lambda name: _gap(_numbers(name), wanted))
    likeness = {name: _likeness(name, model_name) for name in _candidates(model_name)}
    near = max(likeness, key=lambda name: likeness[name], default=None)
    return near if near is not None and likeness[near] >= _ALIKE else None


def _candidates(model_name: str) -> Iterator[str]:
    """The examples, and each family's own name with the numbers that were asked for."""
    tail = re.sub(r"^\D*", "", model_name)
    for family in families():
        yield from family.examples
        own = f"{family.name}_{tail}"
        if family.arguments(own) is not None:
            yield own


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, other, one).ratio()


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _gap(numbers: Iterable[int], wanted: Iterable[int]) -> int:
    return sum(abs(number - want) for number, want in zip(numbers, wanted, strict=False))
