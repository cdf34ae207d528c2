"""Families with the recipes of weight-level pruning on CIFAR.

Han et al. 2015, as carried out by "Rethinking the Value of Network Pruning" (Liu et al. 2019) and
by those who built on its code.
"""

from __future__ import annotations

from models.declarations.names import BOTTLENECKS_FROM, NUMBER, basic_depth, preactivation_depth
from models.declarations.widths import FACTOR, is_dense, is_wide
from models.family import Family, Preset

_TRAINING: Preset = {
    "dataset_name": "cifar10",
    "normalize": "cifar",
    "batch_size": 64,
    "optimizer_name": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
    "milestone_steps": "80ep,120ep",
    "gamma": 0.1,
    "weight_decay": 1e-4,
    "training_steps": "160ep",
}
_RESNET: Preset = {**_TRAINING, "model_init": "kaiming_fan_out", "batchnorm_init": "fixed"}
_VGG: Preset = {
    **_TRAINING,
    "model_init": "vgg",
    "bias_init": "zeros",
    "batchnorm_init": "half",
}
_PRUNING: Preset = {"prune_fraction": 0.2}

_BASIC_DEPTHS = (20, 8, 14, 26, 32, 38, 44, 56, 110)
_BASIC_RULE = (
    "the depth N is 6D+2 (8, 14, 20, 26, 32, ..., 110, ...), the width W at least 1 and 16 unless "
    "given"
)
_BASIC_PATTERN = rf"cifar_resnet_(?P<depth>{NUMBER})(?:_(?P<width>{NUMBER}))?_a"

VGG_HIDDEN = Family(
    name="cifar_vgg_hidden",
    form="cifar_vgg_D_hidden",
    rule="the depth D is 11, 13, 16 or 19; the classifier has a hidden layer of 512",
    examples=tuple(f"cifar_vgg_{depth}_hidden" for depth in (16, 11, 13, 19)),
    pattern=r"cifar_vgg_(?P<depth>11|13|16|19)_hidden",
    builder="models.cifar_vgg_hidden:build",
    preset=_VGG,
    pruning=_PRUNING,
)

RESNET_A = Family(
    name="cifar_resnet_a",
    form="cifar_resnet_N[_W]_a",
    rule=f"shortcuts without parameters; {_BASIC_RULE}",
    examples=tuple(f"cifar_resnet_{depth}_a" for depth in _BASIC_DEPTHS),
    pattern=_BASIC_PATTERN,
    allowed=basic_depth,
    builder="models.cifar_resnet_a:build",
    preset=_RESNET,
    pruning=_PRUNING,
)

RESNET_A_DETACHED = Family(
    name="cifar_resnet_a_detached",
    form="cifar_resnet_N[_W]_a_detached",
    rule="as cifar_resnet_N[_W]_a, with the fault of the published code: where a stage begins, "
    "the shortcut carries no gradient",
    examples=tuple(f"cifar_resnet_{depth}_a_detached" for depth in _BASIC_DEPTHS),
    pattern=rf"{_BASIC_PATTERN}_detached",
    allowed=basic_depth,
    builder="models.cifar_resnet_a:build_detached",
    preset=_RESNET,
    pruning=_PRUNING,
)

RESNET_BOTTLENECK = Family(
    name="cifar_resnet_bottleneck",
    form="cifar_resnet_N[_W]_bottleneck",
    rule=f"as many blocks as cifar_resnet_N[_W] has, each a bottleneck; {_BASIC_RULE}",
    examples=tuple(f"cifar_resnet_{depth}_bottleneck" for depth in (56, *_BASIC_DEPTHS[:-2], 110)),
    pattern=rf"cifar_resnet_(?P<depth>{NUMBER})(?:_(?P<width>{NUMBER}))?_bottleneck",
    allowed=basic_depth,
    builder="models.cifar_resnet_bottleneck:build",
    preset=_RESNET,
    pruning=_PRUNING,
)

PRERESNET = Family(
    name="cifar_preresnet",
    form="cifar_preresnet_N[_bottleneck]",
    rule=f"below {BOTTLENECKS_FROM} the depth N is 6D+2 (8, 14, 20, ..., 56, ..., 110) and blocks "
    f"are basic, or 9D+2 (11, 20, 29, ..., 110) and _bottleneck is added; from "
    f"{BOTTLENECKS_FROM} on it is 9D+2 (164, 173, ..., 1001) and blocks are bottlenecks",
    examples=(
        *(f"cifar_preresnet_{depth}" for depth in (110, 164, 20, 56, 8, 14, 26, 32, 38, 44, 1001)),
        *(f"cifar_preresnet_{depth}_bottleneck" for depth in (110, 11, 20, 29, 56)),
    ),
    pattern=rf"cifar_preresnet_(?P<depth>{NUMBER})(?:_(?P<bottleneck>bottleneck))?",
    allowed=preactivation_depth,
    builder="models.cifar_preresnet:build",
    preset=_RESNET,
    pruning=_PRUNING,
)

WIDE_RESNET_DROPOUT = Family(
    name="cifar_wide_resnet_dropout",
    form="cifar_wide_resnet_D_K_dropout",
    rule="cifar_wide_resnet_D_K with dropout of 0.3 in its blocks; the depth D is 6n+4 (10, 16, "
    "22, 28, ...), the width K a number such as 8 or 0.5, in the fewest digits",
    examples=tuple(f"cifar_wide_resnet_{size}_dropout" for size in ("16_8", "28_10", "40_2")),
    pattern=rf"cifar_wide_resnet_(?P<depth>{NUMBER})_(?P<width>{FACTOR})_dropout",
    allowed=is_wide,
    builder="models.cifar_wide_resnet:build_dropout",
    preset={**_TRAINING, "model_init": "wide_resnet", "batchnorm_init": "fixed"},
    pruning=_PRUNING,
)

DENSENET = Family(
    name="cifar_densenet",
    form="cifar_densenet_D_K[_transition_T]",
    rule="layers without bottlenecks; the depth D is 3n+4 (7, 10, 13, ..., 40, ..., 100, ...), the "
    "growth K at least 1, and transitions leave T of the channels (less than 1, and all unless "
    "given), in the fewest digits that give the same network",
    examples=(
        *(f"cifar_densenet_{size}" for size in ("40_12", "100_12", "7_12", "10_12", "22_12")),
        "cifar_densenet_100_12_transition_0.5",
    ),
    pattern=rf"cifar_densenet_(?P<depth>{NUMBER})_(?P<growth>{NUMBER})"
    rf"(?:_transition_(?P<transition>{FACTOR}))?",
    allowed=is_dense,
    builder="models.cifar_densenet:build",
    preset=_RESNET,
    pruning=_PRUNING,
)
