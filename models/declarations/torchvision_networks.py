"""The family of torchvision's networks, with the recipe that torchvision trains most of them by.

The recipe is the default of its reference scripts (references/classification/README.md), as for its
ResNets: eight devices with a batch of 32 each. Networks without batch norm (alexnet, vgg11, vgg13,
vgg16, vgg19) are trained at a learning rate of 0.01 there, later ones by recipes of their own.
"""

from __future__ import annotations

from models.family import Family

_LISTED = """
alexnet
convnext_base convnext_large convnext_small convnext_tiny
densenet121 densenet161 densenet169 densenet201
efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3
efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7
efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s
googlenet
inception_v3
maxvit_t
mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3
mobilenet_v2 mobilenet_v3_large mobilenet_v3_small
regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf
regnet_x_400mf regnet_x_800mf regnet_x_8gf
regnet_y_128gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf
regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf
resnet101 resnet152 resnet18 resnet34 resnet50
resnext101_32x8d resnext101_64x4d resnext50_32x4d
shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0
squeezenet1_0 squeezenet1_1
swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t
vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn
vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32
wide_resnet101_2 wide_resnet50_2
"""
NAMES = tuple(_LISTED.split())
"""All that torchvision has for classification; written down, because help does not import it."""

TORCHVISION = Family(
    name="torchvision",
    form="torchvision_NAME",
    rule="NAME is that of a network of torchvision.models for classification, such as resnet18 or "
    "mobilenet_v2; images have 3 channels",
    examples=tuple(f"torchvision_{name}" for name in NAMES),
    pattern=rf"torchvision_(?P<name>{'|'.join(NAMES)})",
    builder="models.torchvision_networks:build",
    preset={
        "dataset_name": "imagenet",
        "batch_size": 256,
        "model_init": "kaiming_fan_out",
        "batchnorm_init": "fixed",
        "optimizer_name": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "milestone_steps": "30ep,60ep",
        "gamma": 0.1,
        "weight_decay": 1e-4,
        "training_steps": "90ep",
    },
    pruning={"prune_fraction": 0.2},
)
