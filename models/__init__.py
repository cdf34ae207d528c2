"""Which networks there are, by name. Nothing here imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from foundations.registry import Registry
from models.unknown import unknown_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.family import Arguments, Family

MODELS: Registry[Family] = Registry(
    "model family",
    {
        "digits_lenet": "models.declarations.openlth:DIGITS_LENET",
        "mnist_lenet": "models.declarations.openlth:MNIST_LENET",
        "mnist_dbsn": "models.declarations.granularity:DBSN",
        "cifar_resnet": "models.declarations.openlth:CIFAR_RESNET",
        "cifar_resnet_a": "models.declarations.weight_level:RESNET_A",
        "cifar_resnet_a_detached": "models.declarations.weight_level:RESNET_A_DETACHED",
        "cifar_preresnet": "models.declarations.weight_level:PRERESNET",
        "granularity_resnet": "models.declarations.granularity:RESNET",
        "cifar_vgg": "models.declarations.openlth:CIFAR_VGG",
        "cifar_vgg_hidden": "models.declarations.weight_level:VGG_HIDDEN",
        "imagenet_resnet": "models.declarations.openlth:IMAGENET_RESNET",
        "tinyimagenet_resnet": "models.declarations.openlth:TINYIMAGENET_RESNET",
        "tinyimagenet_modifiedresnet": "models.declarations.openlth:TINYIMAGENET_MODIFIEDRESNET",
    },
)
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
    raise unknown_network(model_name, what, tuple(families()))
