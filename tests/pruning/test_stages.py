"""Stem, inner and outer layers of the networks that there are."""

from __future__ import annotations

import pytest

from foundations.errors import UserError
from models.build import architecture, prunable
from models.hparams import ModelHparams
from pruning.allocations.stages import Stages
from pruning.hparams import PruningHparams
from pruning.subject import Subject


def made(name: str) -> tuple[dict[str, str], list[str]]:
    """The kinds of a network's layers and gates, and the names of its layers."""
    model = ModelHparams(model_name=name, model_init="kaiming_normal", batchnorm_init="uniform")
    network = architecture(model, shape=(3, 32, 32), classes=10, seed=0)
    subject = Subject(network, PruningHparams(allocation="stages"), (3, 32, 32))
    layers = [weight.removesuffix(".weight") for weight in prunable(network)]
    return dict(Stages.of(subject).kinds), layers


def test_published_groups() -> None:
    """In ResNet-20, by_res_type: the stem, all first convolutions of blocks, all second ones."""
    kinds, layers = made("granularity_resnet_20")
    masked = [f"blocks.{block}.conv{which}" for block in range(9) for which in (1, 2)]
    order = [kinds[layer] for layer in ["conv", *masked]]
    assert [at for at, kind in enumerate(order) if kind == "stem"] == [0]
    assert [at for at, kind in enumerate(order) if kind == "inner"] == list(range(1, 19, 2))
    assert [at for at, kind in enumerate(order) if kind == "outer"] == list(range(2, 19, 2))
    others = {layer: kinds[layer] for layer in layers if layer not in {"conv", *masked}}
    assert others == {
        "blocks.3.shortcut.0": "outer",
        "blocks.6.shortcut.0": "outer",
        "fc": "output",
    }


def test_published_gates() -> None:
    """Gates after the stem, inside each block and after each sum are of the same three groups."""
    kinds, _ = made("granularity_resnet_20")
    gates = [kind for name, kind in kinds.items() if name.startswith("gate:")]
    assert gates == ["stem", *["inner", "outer"] * 9]


@pytest.mark.parametrize(
    ("name", "inner", "outer"),
    [
        ("cifar_resnet_20", 9, 9 + 2),
        ("cifar_resnet_20_a", 9, 9),  # its shortcuts have no weights
        ("cifar_preresnet_164", 2 * 54, 54 + 3),
        ("cifar_wide_resnet_40_2", 18, 18 + 3),
        ("imagenet_resnet_50", 2 * 16, 16 + 4),
    ],
)
def test_counts(name: str, inner: int, outer: int) -> None:
    """Any residual network: one or two inner convolutions a block, the last, and shortcuts."""
    kinds, layers = made(name)
    found = [kinds[layer] for layer in layers]
    counts = {kind: found.count(kind) for kind in ("stem", "inner", "outer", "output")}
    assert counts == {"stem": 1, "inner": inner, "outer": outer, "output": 1}


def test_not_residual() -> None:
    """A network without sums has no stages."""
    with pytest.raises(UserError, match="residual networks"):
        made("cifar_vgg_11")
