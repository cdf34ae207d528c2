"""Presets: the recipes of the works that networks come from."""

from __future__ import annotations

from typing import Any

import pytest

from foundations.errors import UserError
from models import families
from models.presets import preset, pruning_preset
from training.description import TrainDesc
from training.schedules import learning_rate

EXAMPLES = [name for family in families() for name in family.examples]

OPENLTH = {"model_init": "kaiming_normal", "batchnorm_init": "uniform", "optimizer_name": "sgd"}
DECAYING = OPENLTH | {"momentum": 0.9, "gamma": 0.1, "weight_decay": 1e-4}
MNIST = {"dataset_name": "mnist", "batch_size": 128, "lr": 0.1, "training_steps": "40ep"}
CIFAR = {
    "dataset_name": "cifar10",
    "batch_size": 128,
    "lr": 0.1,
    "milestone_steps": "80ep,120ep",
    "training_steps": "160ep",
}
IMAGENET = {
    "dataset_name": "imagenet",
    "batch_size": 1024,
    "lr": 0.4,
    "milestone_steps": "30ep,60ep,80ep",
    "warmup_steps": "5ep",
    "training_steps": "90ep",
}
TINY_IMAGENET = {
    "dataset_name": "tinyimagenet",
    "batch_size": 256,
    "lr": 0.2,
    "milestone_steps": "100ep,150ep",
    "warmup_steps": "5ep",
    "training_steps": "200ep",
}
WEIGHT_LEVEL = CIFAR | {
    "batch_size": 64,
    "optimizer_name": "sgd",
    "momentum": 0.9,
    "gamma": 0.1,
    "weight_decay": 1e-4,
    "normalize": "cifar",
}
GRADIENT_FLOW = CIFAR | {
    "dataset_name": "cifar100",
    "normalize": "half",
    "model_init": "pytorch_default",
    "batchnorm_init": "fixed",
    "optimizer_name": "sgd",
    "momentum": 0.9,
    "gamma": 0.1,
    "weight_decay": 1e-4,
    "loss_temperature": 5.0,
}
FISHER = {
    "dataset_name": "cifar10",
    "normalize": "wide_resnet",
    "augment_crop_mode": "reflect",
    "model_init": "wide_resnet",
    "batchnorm_init": "fixed",
    "optimizer_name": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
}
WIDE = FISHER | {
    "batch_size": 128,
    "weight_decay": 5e-4,
    "milestone_steps": "60ep,120ep,160ep",
    "gamma": 0.2,
    "training_steps": "200ep",
}
DENSE = FISHER | {
    "batch_size": 64,
    "weight_decay": 1e-4,
    "milestone_steps": "150ep,225ep",
    "gamma": 0.1,
    "training_steps": "300ep",
}
RESIDUAL = {"model_init": "kaiming_fan_out", "batchnorm_init": "fixed"}


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("mnist_lenet_300_100", OPENLTH | MNIST),
        ("digits_lenet", OPENLTH | MNIST | {"dataset_name": "digits", "batch_size": 64}),
        ("cifar_resnet_56", DECAYING | CIFAR),
        ("cifar_vgg_13", DECAYING | CIFAR),
        ("imagenet_resnet_50", DECAYING | IMAGENET),
        ("tinyimagenet_resnet_18", DECAYING | TINY_IMAGENET),
        ("tinyimagenet_modifiedresnet_18", DECAYING | TINY_IMAGENET),
        ("cifar_resnet_56_a", WEIGHT_LEVEL | RESIDUAL),
        ("cifar_resnet_56_a_detached", WEIGHT_LEVEL | RESIDUAL),
        ("cifar_preresnet_164", WEIGHT_LEVEL | RESIDUAL),
        ("cifar_wide_resnet_40_2", WIDE),
        ("cifar_wide_resnet_40_2_bottle_0.5", WIDE),
        ("cifar_wide_resnet_16_8_dropout", WEIGHT_LEVEL | RESIDUAL | {"model_init": "wide_resnet"}),
        ("cifar_densenet_bc_100_12", DENSE),
        ("cifar_densenet_40_12", WEIGHT_LEVEL | RESIDUAL),
        ("cifar_resnet_56_bottleneck", WEIGHT_LEVEL | RESIDUAL),
        ("cifar_vgg_13_relu_bn", GRADIENT_FLOW),
        ("cifar_mobilenet", GRADIENT_FLOW),
        ("gradient_flow_resnet_56", GRADIENT_FLOW),
        ("cifar_imagenet_resnet_18", GRADIENT_FLOW),
        (
            "torchvision_resnet50",
            {
                "dataset_name": "imagenet",
                "batch_size": 256,
                **RESIDUAL,
                "optimizer_name": "sgd",
                "lr": 0.1,
                "momentum": 0.9,
                "milestone_steps": "30ep,60ep",
                "gamma": 0.1,
                "weight_decay": 1e-4,
                "training_steps": "90ep",
            },
        ),
        (
            "cifar_vgg_16_hidden",
            WEIGHT_LEVEL | {"model_init": "vgg", "bias_init": "zeros", "batchnorm_init": "half"},
        ),
        (
            "mnist_dbsn",
            {
                "dataset_name": "mnist",
                "batch_size": 128,
                "normalize": "half",
                "augment_stretch": 0.2,
                "augment_rotation": 15.0,
                "augment_rotation_labels": "1=7.5,7=7.5",
                "model_init": "uniform",
                "init_width": 0.05,
                "bias_init": "zeros",
                "batchnorm_init": "fixed",
                "optimizer_name": "adam",
                "lr": 2e-5,
                "training_steps": "30000it",
            },
        ),
        (
            "granularity_resnet_20",
            {
                "dataset_name": "cifar10",
                "batch_size": 128,
                "normalize": "cifar",
                "model_init": "xavier_normal",
                "batchnorm_init": "fixed",
                "optimizer_name": "sgd",
                "lr": 0.03,
                "momentum": 0.9,
                "weight_decay": 1e-4,
                "warmup_steps": "20000it",
                "milestone_steps": "20000it,25000it",
                "gamma": 0.1,
                "training_steps": "30000it",
            },
        ),
    ],
)
def test_a_recipe(name: str, flags: dict[str, Any]) -> None:
    """The flags are those that the work states, and no others."""
    assert preset(name) == flags | {"model_name": name}


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("digits_lenet", {"prune_fraction": 0.2, "layers_to_ignore": "fc.weight"}),
        ("mnist_lenet_300_100", {"prune_fraction": 0.2, "layers_to_ignore": "fc.weight"}),
        ("cifar_vgg_16", {"prune_fraction": 0.2, "layers_to_ignore": "fc.weight"}),
        ("cifar_resnet_20", {"prune_fraction": 0.2}),
        ("imagenet_resnet_50", {"prune_fraction": 0.2}),
        ("tinyimagenet_modifiedresnet_18", {"prune_fraction": 0.2}),
        ("mnist_dbsn", {"prune_fraction": 0.2}),
    ],
)
def test_how_a_network_is_pruned_level_by_level(name: str, flags: dict[str, Any]) -> None:
    """A fifth of what remains at each level; OpenLTH spares the output layer of some."""
    assert pruning_preset(name) == flags


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_preset_is_a_training_job(name: str) -> None:
    """Every flag of it is one, with a value that is allowed."""
    made = TrainDesc.from_flat(preset(name))
    assert made.model.model_name == name
    assert made.training.training_steps == type(made.training.training_steps).parse(
        str(preset(name)["training_steps"])
    )


def _published_lr(iteration: int) -> float:
    if iteration < 20000:
        return 0.03 * iteration / 20000
    return 0.003 if iteration < 25000 else 0.0003


def test_the_learning_rate_of_the_granularity_paper() -> None:
    """As its formula has it, before every update."""
    training = TrainDesc.from_flat(preset("granularity_resnet_20")).training
    for iteration in (*range(0, 30000, 7), 19999, 20000, 24999, 25000):
        found = learning_rate(training, iteration, iterations_per_epoch=391)
        assert found == pytest.approx(_published_lr(iteration), rel=1e-12)


def test_changing_a_preset_changes_no_other() -> None:
    """What is returned is the caller's own."""
    preset("cifar_vgg_16")["lr"] = 7.0
    pruning_preset("cifar_vgg_16")["prune_fraction"] = 7.0
    assert preset("cifar_vgg_16")["lr"] == 0.1
    assert pruning_preset("cifar_vgg_16")["prune_fraction"] == 0.2


@pytest.mark.parametrize("what", [preset, pruning_preset])
def test_an_unknown_preset_is_refused_as_one(what: Any) -> None:
    """The message speaks of a preset and suggests the nearest."""
    with pytest.raises(UserError, match=r"no preset 'digits_lent'. Did you mean 'digits_lenet'"):
        what("digits_lent")
