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
        "cifar_resnet_bottleneck": "models.declarations.weight_level:RESNET_BOTTLENECK",
        "cifar_preresnet": "models.declarations.weight_level:PRERESNET",
        "granularity_resnet": "models.declarations.granularity:RESNET",
        "cifar_wide_resnet": "models.declarations.fisher_channels:WIDE_RESNET",
        "cifar_wide_resnet_dropout": "models.declarations.weight_level:WIDE_RESNET_DROPOUT",
        "cifar_densenet": "models.declarations.weight_level:DENSENET",
        "cifar_densenet_bc": "models.declarations.fisher_channels:DENSENET_BC",
        "cifar_vgg": "models.declarations.openlth:CIFAR_VGG",
        "cifar_vgg_hidden": "models.declarations.weight_level:VGG_HIDDEN",
        "cifar_vgg_relu_bn": "models.declarations.gradient_flow:VGG",
        "cifar_mobilenet": "models.declarations.gradient_flow:MOBILENET",
        "gradient_flow_resnet": "models.declarations.gradient_flow:RESNET",
        "cifar_imagenet_resnet": "models.declarations.gradient_flow:IMAGENET_RESNET",
        "imagenet_resnet": "models.declarations.openlth:IMAGENET_RESNET",
        "tinyimagenet_resnet": "models.declarations.openlth:TINYIMAGENET_RESNET",
        "tinyimagenet_modifiedresnet": "models.declarations.openlth:TINYIMAGENET_MODIFIEDRESNET",
        "torchvision": "models.declarations.torchvision_networks:TORCHVISION",
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
