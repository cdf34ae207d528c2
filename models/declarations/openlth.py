"""Families with the recipes of OpenLTH and of its fork, "Why Are We Missing the Mark?"."""

from __future__ import annotations

from models.declarations.names import NUMBER, WIDTHS, basic_depth
from models.family import Family, Preset

_INITIALIZERS: Preset = {"model_init": "kaiming_normal", "batchnorm_init": "uniform"}
_SGD: Preset = {"optimizer_name": "sgd", "lr": 0.1}
_LENET: Preset = {**_INITIALIZERS, **_SGD, "training_steps": "40ep"}
_DECAYING: Preset = {**_INITIALIZERS, **_SGD, "momentum": 0.9, "gamma": 0.1, "weight_decay": 1e-4}
_CIFAR: Preset = {
    **_DECAYING,
    "dataset_name": "cifar10",
    "batch_size": 128,
    "milestone_steps": "80ep,120ep",
    "training_steps": "160ep",
}
_IMAGENET: Preset = {
    **_DECAYING,
    "dataset_name": "imagenet",
    "batch_size": 1024,
    "lr": 0.4,
    "milestone_steps": "30ep,60ep,80ep",
    "warmup_steps": "5ep",
    "training_steps": "90ep",
}
_TINY_IMAGENET: Preset = {
    **_DECAYING,
    "dataset_name": "tinyimagenet",
    "batch_size": 256,
    "lr": 0.2,
    "milestone_steps": "100ep,150ep",
    "warmup_steps": "5ep",
    "training_steps": "200ep",
}
_PRUNING: Preset = {"prune_fraction": 0.2}
_PRUNING_BUT_OUTPUT: Preset = {**_PRUNING, "layers_to_ignore": "fc.weight"}

_DEPTH_AND_WIDTH = rf"(?P<depth>18|34|50|101|152|200)(?:_(?P<width>{NUMBER}))?"
_DEPTH_AND_WIDTH_RULE = (
    "the depth D is 18, 34, 50, 101, 152 or 200, the width W at least 1 and 64 unless given"
)


def _examples(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}_{depth}" for depth in (18, 34, 50, 101, 152, 200))


DIGITS_LENET = Family(
    name="digits_lenet",
    form="digits_lenet[_A_B...]",
    rule="A, B, ... are the widths of the hidden layers, 300 and 100 unless given",
    examples=("digits_lenet", "digits_lenet_300_100", "digits_lenet_100"),
    pattern=rf"digits_lenet(?:_(?P<widths>{WIDTHS}))?",
    builder="models.lenet:build",
    preset={**_LENET, "dataset_name": "digits", "batch_size": 64},
    pruning=_PRUNING_BUT_OUTPUT,
)

MNIST_LENET = Family(
    name="mnist_lenet",
    form="mnist_lenet_A_B...",
    rule="A, B, ... are the widths of the hidden layers, at least one",
    examples=("mnist_lenet_300_100", "mnist_lenet_100", "mnist_lenet_1000_500"),
    pattern=rf"mnist_lenet_(?P<widths>{WIDTHS})",
    builder="models.lenet:build",
    preset={**_LENET, "dataset_name": "mnist", "batch_size": 128},
    pruning=_PRUNING_BUT_OUTPUT,
)

CIFAR_RESNET = Family(
    name="cifar_resnet",
    form="cifar_resnet_N[_W]",
    rule="the depth N is 6D+2 (8, 14, 20, 26, 32, 38, 44, 50, 56, ..., 110, ...), "
    "the width W at least 1 and 16 unless given",
    examples=(
        *(f"cifar_resnet_{depth}" for depth in (20, 8, 14, 26, 32, 38, 44, 50, 56, 110)),
        "cifar_resnet_20_64",
    ),
    pattern=rf"cifar_resnet_(?P<depth>{NUMBER})(?:_(?P<width>{NUMBER}))?",
    allowed=basic_depth,
    builder="models.cifar_resnet:build",
    preset=_CIFAR,
    pruning=_PRUNING,
)

CIFAR_VGG = Family(
    name="cifar_vgg",
    form="cifar_vgg_D",
    rule="the depth D is 11, 13, 16 or 19",
    examples=("cifar_vgg_16", "cifar_vgg_11", "cifar_vgg_13", "cifar_vgg_19"),
    pattern=r"cifar_vgg_(?P<depth>11|13|16|19)",
    builder="models.cifar_vgg:build",
    preset=_CIFAR,
    pruning=_PRUNING_BUT_OUTPUT,
)

IMAGENET_RESNET = Family(
    name="imagenet_resnet",
    form="imagenet_resnet_D[_W]",
    rule=_DEPTH_AND_WIDTH_RULE,
    examples=_examples("imagenet_resnet"),
    pattern=rf"imagenet_resnet_{_DEPTH_AND_WIDTH}",
    builder="models.imagenet_resnet:build",
    preset=_IMAGENET,
    pruning=_PRUNING,
)

TINYIMAGENET_RESNET = Family(
    name="tinyimagenet_resnet",
    form="tinyimagenet_resnet_D[_W]",
    rule=_DEPTH_AND_WIDTH_RULE,
    examples=_examples("tinyimagenet_resnet"),
    pattern=rf"tinyimagenet_resnet_{_DEPTH_AND_WIDTH}",
    builder="models.imagenet_resnet:build",
    preset=_TINY_IMAGENET,
    pruning=_PRUNING,
)

TINYIMAGENET_MODIFIEDRESNET = Family(
    name="tinyimagenet_modifiedresnet",
    form="tinyimagenet_modifiedresnet_D[_W]",
    rule=_DEPTH_AND_WIDTH_RULE,
    examples=_examples("tinyimagenet_modifiedresnet"),
    pattern=rf"tinyimagenet_modifiedresnet_{_DEPTH_AND_WIDTH}",
    builder="models.imagenet_resnet:build_modified",
    preset=_TINY_IMAGENET,
    pruning=_PRUNING,
)
