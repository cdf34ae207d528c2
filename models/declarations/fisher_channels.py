"""Families with the recipes of Fisher channel pruning.

"Pruning neural networks: is it time to nip it in the bud?" (Crowley et al. 2018).
"""

from __future__ import annotations

from models.declarations.names import NUMBER
from models.declarations.widths import FACTOR, is_dense, is_wide
from models.family import Family, Preset

_TRAINING: Preset = {
    "dataset_name": "cifar10",
    "normalize": "wide_resnet",
    "augment_crop_mode": "reflect",
    "model_init": "wide_resnet",
    "batchnorm_init": "fixed",
    "optimizer_name": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
}
_PRUNING: Preset = {"prune_fraction": 0.2}

WIDE_RESNET = Family(
    name="cifar_wide_resnet",
    form="cifar_wide_resnet_D_K[_bottle_Z]",
    rule="the depth D is 6n+4 (10, 16, 22, 28, 34, 40, ...), K is the width, and blocks have Z "
    "times as many channels inside; K and Z are numbers such as 2 or 0.5, in the fewest digits "
    "that give the same network (not 2.0)",
    examples=(
        *(f"cifar_wide_resnet_{size}" for size in ("40_2", "16_2", "10_1", "28_10", "22_2")),
        *(f"cifar_wide_resnet_{size}" for size in ("34_2", "16_8", "40_0.5", "40_4")),
        *(f"cifar_wide_resnet_40_2_bottle_{z}" for z in ("0.5", "0.25", "0.75")),
    ),
    pattern=rf"cifar_wide_resnet_(?P<depth>{NUMBER})_(?P<width>{FACTOR})"
    rf"(?:_bottle_(?P<bottle>{FACTOR}))?",
    allowed=is_wide,
    builder="models.cifar_wide_resnet:build",
    preset={
        **_TRAINING,
        "batch_size": 128,
        "weight_decay": 5e-4,
        "milestone_steps": "60ep,120ep,160ep",
        "gamma": 0.2,
        "training_steps": "200ep",
    },
    pruning=_PRUNING,
)

DENSENET_BC = Family(
    name="cifar_densenet_bc",
    form="cifar_densenet_bc_D_K[_transition_T][_bottle_Z]",
    rule="the depth D is 6n+4 (10, 16, 22, 28, 34, 40, ..., 100, ...), the growth K at least 1, "
    "transitions leave T of the channels (at most 1, and 0.5 unless given), and bottlenecks have Z "
    "times 4K; T and Z in the fewest digits that give the same network (not 0.50)",
    examples=(
        *(f"cifar_densenet_bc_{size}" for size in ("100_12", "40_12", "10_12", "16_12", "22_12")),
        *(f"cifar_densenet_bc_{size}" for size in ("190_40", "250_24")),
        "cifar_densenet_bc_100_12_transition_1",
        "cifar_densenet_bc_100_12_bottle_0.5",
        "cifar_densenet_bc_100_12_transition_1_bottle_0.5",
    ),
    pattern=rf"cifar_densenet_(?P<bottleneck>bc)_(?P<depth>{NUMBER})_(?P<growth>{NUMBER})"
    rf"(?:_transition_(?P<transition>{FACTOR}))?(?:_bottle_(?P<bottle>{FACTOR}))?",
    allowed=is_dense,
    builder="models.cifar_densenet:build",
    preset={
        **_TRAINING,
        "batch_size": 64,
        "weight_decay": 1e-4,
        "milestone_steps": "150ep,225ep",
        "gamma": 0.1,
        "training_steps": "300ep",
    },
    pruning=_PRUNING,
)
