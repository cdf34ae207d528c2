"""Which criterion, with which settings, the hyperparameters name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from foundations.errors import UserError
from pruning.criteria import CRITERIA, Examples
from pruning.hparams import PruningHparams
from pruning.scored import scored_by
from pruning.strategies import STRATEGIES, parse_strategy
from pruning.subject import Subject

FLOW = Examples(examples=2560, batch_size=128, augmented=True, at_most=True)
BALANCED = FLOW._replace(balanced=True)
START = {"1.weight": torch.ones(3, 4)}


def made(strategy: str, **settings: Any) -> Any:
    """The criterion, for a linear layer."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    hparams = PruningHparams(strategy=strategy, **settings)
    return scored_by(Subject(network, hparams, (1, 2, 2), initial=START))


def settings_of(criterion: Any, *names: str) -> dict[str, Any]:
    """Some of its fields."""
    return {name: getattr(criterion, name) for name in names}


@pytest.mark.parametrize(
    ("strategy", "criterion", "expected"),
    [
        ("snip7", "snip", {"examples": Examples(7), "training": True, "temperature": 1.0}),
        ("snip7", "snip", {"per_example": False, "precision": None}),
        ("snip_example7", "snip", {"examples": Examples(7), "per_example": True}),
        ("snip_example7", "snip", {"training": False, "temperature": 1.0}),
        ("grasp7", "grasp", {"training": True, "temperature": 200.0, "absolute": False}),
        ("graspabs7", "grasp", {"training": True, "temperature": 200.0, "absolute": True}),
        ("wg", "first_order", {"examples": FLOW, "training": False, "temperature": 5.0}),
        ("wg", "first_order", {"signed": False, "initial": None}),
        ("wg_signed", "first_order", {"examples": FLOW, "signed": True, "temperature": 5.0}),
        ("w2g", "weighted_first_order", {"examples": FLOW, "training": False, "temperature": 5.0}),
        ("whg", "hessian_gradient", {"examples": BALANCED, "temperature": 200.0}),
        ("whg", "hessian_gradient", {"training": False, "absolute": False}),
        ("whg_abs", "hessian_gradient", {"examples": BALANCED, "temperature": 1.0}),
        ("whg_abs", "hessian_gradient", {"training": False, "absolute": True}),
        ("fisher", "fisher", {"examples": FLOW, "training": False, "per_example": False}),
        ("fisher_example", "fisher", {"temperature": 5.0, "training": False, "per_example": True}),
    ],
)
def test_as_published(strategy: str, criterion: str, expected: dict[str, Any]) -> None:
    """A name stands for these settings, which never change."""
    found = made(strategy)
    assert isinstance(found, CRITERIA[criterion])  # type: ignore[arg-type]
    assert settings_of(found, *expected) == expected


@pytest.mark.parametrize(
    ("strategy", "reduction"),
    [
        ("wg", "sum"),
        ("wg_signed", "abs_sum"),
        ("w2g", "sum"),
        ("whg", "signed_sum"),
        ("whg_abs", "abs_sum"),
        ("fisher", "sum"),
        ("fisher_example", "sum"),
        ("grasp7", "signed_sum"),
        ("graspabs7", None),
        ("magnitude", None),
        ("snip7", None),
    ],
)
def test_reduction(strategy: str, reduction: str | None) -> None:
    """What a name stands for where weights are reduced."""
    assert parse_strategy(strategy).reduction == reduction


def test_absolute_after_the_reduction() -> None:
    """Of groups, the sum is made positive, so the scores of its weights keep their signs."""
    assert not made("whg_abs", granularity="kernels").absolute
    assert made("whg_abs", granularity="weights").absolute


@pytest.mark.parametrize("strategy", ["snip7", "snip_example7", "grasp7", "wg", "whg", "fisher"])
def test_settings(strategy: str) -> None:
    """Mode, temperature and precision that flags give go before what a name says."""
    for mode, training in (("train", True), ("eval", False)):
        found = made(strategy, score_mode=mode, score_temperature=3.0, score_precision="float64")
        expected = {"training": training, "temperature": 3.0, "precision": "float64"}
        assert settings_of(found, *expected) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"score_per_class": 3}, Examples(3, None, None, 128, augmented=True)),
        ({"score_batches": 3}, Examples(None, None, 3, 128, augmented=True)),
        ({"score_examples": 3}, Examples(None, 3, None, 128, augmented=True, balanced=True)),
        ({"score_batch_size": 50}, BALANCED._replace(batch_size=50)),
        ({"score_augmented": False}, BALANCED._replace(augmented=False)),
    ],
)
def test_examples(settings: dict[str, Any], expected: Examples) -> None:
    """Of the examples that a name stands for, what a flag gives is changed, and no more."""
    assert made("whg", **settings).examples == expected


def test_examples_of_a_number_in_the_name() -> None:
    """A flag goes before the number in a name too."""
    assert made("snip7", score_per_class=3).examples == Examples(3)
    assert made("snip7", score_batch_size=5).examples == Examples(7, batch_size=5)
    assert made("snip7", score_augmented=True).examples == Examples(7, augmented=True)


def test_precision_of_synflow() -> None:
    """SynFlow's precision is float64, unless the flag says otherwise."""
    assert made("synflow").precision == "float64"
    assert made("synflow", score_precision="float32").precision == "float32"


def test_distance() -> None:
    """Where the run began comes to the criterion, if the flag asks for it."""
    assert made("wg", score_distance=True).initial is START
    assert made("wg_signed", score_distance=True).initial is START


@pytest.mark.parametrize(
    ("strategy", "settings", "flag", "others"),
    [
        ("magnitude", {"score_temperature": 2.0}, "--score_temperature", "grasp"),
        ("random", {"score_mode": "eval"}, "--score_mode", "snip"),
        ("magnitude", {"score_precision": "float64"}, "--score_precision", "synflow"),
        ("synflow", {"score_per_class": 5}, "--score_per_class", "whg"),
        ("synflow", {"score_augmented": True}, "--score_augmented", "wg"),
        ("snip10", {"score_distance": True}, "--score_distance", "wg"),
        ("magnitude", {"score_distance": True}, "--score_distance", "wg_signed"),
        ("wg", {"stat_alpha": 2.0}, "--stat_alpha", ""),
        (
            "random",
            {"score_batches": 2, "score_batch_size": 4},
            "--score_batches and --score_batch_size",
            "fisher",
        ),
    ],
)
def test_setting_that_a_strategy_does_not_have(
    strategy: str, settings: dict[str, Any], flag: str, others: str
) -> None:
    """It is refused by the flag that was given, with the strategies that have it."""
    with pytest.raises(UserError) as error:
        made(strategy, **settings)
    assert f"The strategy {strategy!r} does not take {flag}: leave it out." in str(error.value)
    assert others in str(error.value)


@pytest.mark.parametrize(
    ("asked", "there", "classes", "resolved"),
    [
        (Examples(3), 100, 10, Examples(3)),
        (Examples(), 100, 10, Examples(examples=100)),
        (Examples(batches=3, batch_size=8), 100, 10, Examples(batches=3, batch_size=8)),
        (Examples(examples=200), 100, 10, Examples(examples=200)),
        (FLOW, 50_000, 10, Examples(examples=2560, batch_size=128, augmented=True)),
        (FLOW, 1_500, 10, Examples(examples=1500, batch_size=128, augmented=True)),
        (BALANCED, 50_000, 10, Examples(256, batch_size=128, augmented=True)),
        (BALANCED, 50_000, 100, Examples(25, batch_size=128, augmented=True)),
        (BALANCED, 1_437, 10, Examples(143, batch_size=128, augmented=True)),
        (Examples(examples=200, balanced=True), 100, 10, Examples(examples=200)),
    ],
)
def test_of_a_data_set(asked: Examples, there: int, classes: int, resolved: Examples) -> None:
    """An amount comes to one number; what no flag has asked for is lowered to what there is."""
    assert asked.resolved(there, classes) == resolved


def test_fewer_examples_than_classes() -> None:
    """They cannot be shared."""
    with pytest.raises(UserError, match="5 examples cannot be shared among 10 classes"):
        Examples(examples=5, balanced=True).resolved(100, 10)


def test_criterion_that_is_no_dataclass(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered may be any callable; its parameters are its settings."""

    @dataclass
    class Own:
        temperature: float

    def make(temperature: float = 1.5) -> Own:
        return Own(temperature)

    monkeypatch.setitem(CRITERIA._entries, "fisher", make)
    monkeypatch.setitem(STRATEGIES._entries, "fisher", type(STRATEGIES["fisher"])("fisher"))
    assert made("fisher").temperature == 1.5
    assert made("fisher", score_temperature=4.0).temperature == 4.0
    with pytest.raises(UserError, match="does not take --score_mode"):
        made("fisher", score_mode="train")
