"""Accuracy and loss of a split, against a plain loop over its examples."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from datasets.loader import EvalLoader
from tests.training.examples import CPU, network_for, random_data, recipe
from training.evaluation import Evaluation

if TYPE_CHECKING:
    from training.description import TrainDesc

TOP_K = (1, 2, 5, 50)
EXAMPLES = 23
DATA = random_data(2, EXAMPLES, shape=(3, 8, 8), classes=7)


@cache
def _case(preset: str, numerics: str) -> tuple[TrainDesc, nn.Module, Evaluation]:
    """A recipe, its network with statistics that are not those of a fresh one, an evaluation."""
    made = recipe(preset, numerics=numerics, loss_temperature=2.0)
    network = network_for(made, DATA).double()
    drawn = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            value.uniform_(0.5, 2, generator=drawn)
    return made, network, Evaluation(network_for(made, DATA), made.training)


def _measured(preset: str, batch_size: int, numerics: str = "float64") -> dict[str, float]:
    _, network, evaluation = _case(preset, numerics)
    dtype = torch.float64 if numerics == "float64" else torch.float32
    weights = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    loader = EvalLoader(DATA.test, DATA, batch_size=batch_size, device=CPU)
    return evaluation.measure(weights, loader, TOP_K)


@cache
def _expected(preset: str) -> dict[str, float]:
    """Each example by itself, unfolded, in float64."""
    _, network, _ = _case(preset, "float64")
    network.eval()
    found: dict[str, list[float]] = {name: [] for name in ("accuracy", "loss")}
    found |= {f"top{k}": [] for k in TOP_K}
    with torch.no_grad():
        for image, label in zip(DATA.test.images, DATA.test.labels, strict=True):
            pixels = (image.double() / 255 - 0.5) / 0.25
            logits: Tensor = network(pixels[None])[0]
            rank = int((logits > logits[label]).sum())
            found["accuracy"].append(rank == 0)
            found["loss"].append(float(-functional.log_softmax(logits / 2, 0)[label]))
            for k in TOP_K:
                found[f"top{k}"].append(rank < k)
    network.train()
    return {name: sum(values) / EXAMPLES for name, values in found.items()}


@pytest.mark.parametrize("preset", ["digits_lenet_8", "cifar_resnet_8_4"])
@settings(max_examples=12, deadline=None)
@given(batch_size=st.integers(1, 2 * EXAMPLES))
def test_measures_are_those_of_a_plain_loop(preset: str, batch_size: int) -> None:
    """Accuracy, loss and top-k do not depend on the batch size, a last batch of 1 included."""
    assert _measured(preset, batch_size) == pytest.approx(_expected(preset), rel=1e-6)


@pytest.mark.parametrize("numerics", ["float32", "float32_channels_first", "bfloat16"])
def test_profiles_measure_nearly_the_same(numerics: str) -> None:
    """Every profile's loss is float64's as far as its digits go."""
    found = _measured("cifar_resnet_8_4", 10, numerics)
    tolerance = 0.05 if numerics == "bfloat16" else 1e-5
    assert found["loss"] == pytest.approx(_expected("cifar_resnet_8_4")["loss"], rel=tolerance)


@pytest.mark.parametrize("numerics", ["float32", "bfloat16"])
def test_float32_measures_alike_at_any_batch_size(numerics: str) -> None:
    """Right answers are counted, and the loss summed in float64, whatever the network's dtype."""
    measures = [_measured("cifar_resnet_8_4", size, numerics) for size in (1, 3, 23, 500)]
    for found in measures[1:]:
        assert found["loss"] == pytest.approx(measures[0]["loss"], rel=1e-2)
        assert found["accuracy"] == pytest.approx(measures[0]["accuracy"], abs=1.5 / EXAMPLES)


def test_nothing_to_evaluate_on() -> None:
    """A split without examples is refused, not divided by."""
    _, network, evaluation = _case("digits_lenet_8", "float64")
    empty = random_data(2, 0, shape=(3, 8, 8), classes=7)
    loader = EvalLoader(empty.test, empty, batch_size=3, device=CPU)
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluation.measure(network.state_dict(), loader)


def test_evaluation_changes_no_weight() -> None:
    """Neither statistics of batch norms nor anything else is touched."""
    _, network, _ = _case("cifar_resnet_8_4", "float64")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    _measured("cifar_resnet_8_4", 5)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
