"""Families with the recipes of the granularity paper.

"Fine Granularity is Critical for Intelligent Neural Network Pruning".
"""

from __future__ import annotations

from models.declarations.names import NUMBER, WIDTHS, basic_depth
from models.family import Family, Preset

_ITERATIONS: Preset = {"batch_size": 128, "training_steps": "30000it", "batchnorm_init": "fixed"}
_PRUNING: Preset = {"prune_fraction": 0.2}

DBSN = Family(
    name="mnist_dbsn",
    form="mnist_dbsn[_A_B...]",
    rule="A, B, ... are the widths of the hidden layers, 2500, 2000, 1500, 1000 and 500 unless "
    "given",
    examples=("mnist_dbsn", "mnist_dbsn_2500_2000_1500_1000_500", "mnist_dbsn_500"),
    pattern=rf"mnist_dbsn(?:_(?P<widths>{WIDTHS}))?",
    builder="models.dbsn:build",
    preset={
        **_ITERATIONS,
        "dataset_name": "mnist",
        "normalize": "half",
        "augment_stretch": 0.2,
        "augment_rotation": 15.0,
        "augment_rotation_labels": "1=7.5,7=7.5",
        "model_init": "uniform",
        "init_width": 0.05,
        "bias_init": "zeros",
        "optimizer_name": "adam",
        "lr": 2e-5,
    },
    pruning=_PRUNING,
)

RESNET = Family(
    name="granularity_resnet",
    form="granularity_resnet_N",
    rule="the depth N is 6D+2 (8, 14, 20, 26, 32, ..., 110, ...); the network is cifar_resnet_N",
    examples=tuple(f"granularity_resnet_{depth}" for depth in (20, 8, 14, 26, 32, 44, 56, 110)),
    pattern=rf"granularity_resnet_(?P<depth>{NUMBER})",
    allowed=basic_depth,
    builder="models.cifar_resnet:build",
    preset={
        **_ITERATIONS,
        "dataset_name": "cifar10",
        "normalize": "cifar",
        "model_init": "xavier_normal",
        "optimizer_name": "sgd",
        # From 0 to .03 in 20,000 iterations, .003 for 5,000, then .0003: as the warm-up ends, the
        # first milestone begins.
        "lr": 0.03,
        "warmup_steps": "20000it",
        "milestone_steps": "20000it,25000it",
        "gamma": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
    },
    pruning=_PRUNING,
)
