"""Families with the recipes of the gradient-flow paper.

"A Gradient Flow Framework for Analyzing Network Pruning" (Lubana and Dick 2021).
"""

from __future__ import annotations

from models.declarations.names import NUMBER, basic_depth
from models.family import Family, Preset

_TRAINING: Preset = {
    "dataset_name": "cifar100",
    "normalize": "half",
    "batch_size": 128,
    "model_init": "pytorch_default",
    "batchnorm_init": "fixed",
    "optimizer_name": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
    "milestone_steps": "80ep,120ep",
    "gamma": 0.1,
    "weight_decay": 1e-4,
    "loss_temperature": 5.0,
    "training_steps": "160ep",
}
_PRUNING: Preset = {"prune_fraction": 0.2}

VGG = Family(
    name="cifar_vgg_relu_bn",
    form="cifar_vgg_D[_W]_relu_bn",
    rule="batch norm comes after ReLU; the depth D is 11, 13, 16 or 19, the width W of the first "
    "convolution at least 1 and 64 unless given",
    examples=tuple(f"cifar_vgg_{depth}_relu_bn" for depth in (13, 11, 16, 19)),
    pattern=rf"cifar_vgg_(?P<depth>11|13|16|19)(?:_(?P<width>{NUMBER}))?_relu_bn",
    builder="models.cifar_vgg_relu_bn:build",
    preset=_TRAINING,
    pruning=_PRUNING,
)

MOBILENET = Family(
    name="cifar_mobilenet",
    form="cifar_mobilenet[_W]",
    rule="the first version, whose first convolution has the width W, at least 1 and 32 unless "
    "given",
    examples=("cifar_mobilenet", "cifar_mobilenet_16", "cifar_mobilenet_64"),
    pattern=rf"cifar_mobilenet(?:_(?P<width>{NUMBER}))?",
    builder="models.cifar_mobilenet:build",
    preset=_TRAINING,
    pruning=_PRUNING,
)

RESNET = Family(
    name="gradient_flow_resnet",
    form="gradient_flow_resnet_N",
    rule="the depth N is 6D+2 (8, 14, 20, ..., 56, ..., 110, ...) and the network is "
    "cifar_resnet_N; for 18 and 34 see cifar_imagenet_resnet",
    examples=tuple(f"gradient_flow_resnet_{depth}" for depth in (56, 8, 14, 20, 26, 32, 44, 110)),
    pattern=rf"gradient_flow_resnet_(?P<depth>{NUMBER})",
    allowed=basic_depth,
    builder="models.cifar_resnet:build",
    preset=_TRAINING,
    pruning=_PRUNING,
)

IMAGENET_RESNET = Family(
    name="cifar_imagenet_resnet",
    form="cifar_imagenet_resnet_D[_W]",
    rule="ResNets of ImageNet with a 3x3 first convolution of stride 1 and no max-pool; the depth "
    "D is 18, 34, 50, 101, 152 or 200, the width W at least 1 and 64 unless given",
    examples=tuple(f"cifar_imagenet_resnet_{depth}" for depth in (18, 34, 50, 101, 152, 200)),
    pattern=rf"cifar_imagenet_resnet_(?P<depth>18|34|50|101|152|200)(?:_(?P<width>{NUMBER}))?",
    builder="models.imagenet_resnet:build_modified",
    preset=_TRAINING,
    pruning=_PRUNING,
)
