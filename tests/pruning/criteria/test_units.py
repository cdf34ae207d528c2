"""Criteria of units, against calls of modules one example at a time, in float64."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from foundations.errors import UserError
from models.gates import buffer_name, gate_tensors
from pruning.criteria import Examples as Asked
from pruning.criteria import UnitCriterion
from pruning.gating import gates_of, with_gates
from pruning.granularities.channels import Channels
from pruning.mask import Mask
from pruning.scored import scored_by
from tests.models.graphs import SHAPE
from tests.pruning.granularities.examples import (
    dense,
    examples,
    granularity_of,
    made,
    subject_of,
)

if TYPE_CHECKING:
    from pruning.granularity import Granularity
    from tests.pruning.networks import Batches

STEP = 1e-6

Scaled = "Callable[[dict[str, Tensor], str, int, float], dict[str, Tensor]]"
"""The weights with one unit, by its name and its flat index, multiplied."""


def scores(
    network: nn.Module,
    weights: dict[str, Tensor],
    mask: Mask | None = None,
    data: Any = None,
    **settings: Any,
) -> dict[str, Tensor]:
    """What the criterion that is asked for gives, as pruning calls it."""
    subject = subject_of(network, **settings)
    criterion = scored_by(subject)
    assert isinstance(criterion, UnitCriterion)
    granularity = granularity_of(network, settings["granularity"], coupling=coupling_in(settings))
    mask = mask or dense(network, weights)
    everything = {**mask, **granularity.units(mask)}
    run = with_gates(network, SHAPE, gates_of(everything))
    values = mask.apply(weights) | gate_tensors(everything, torch.float64)
    return criterion.units(run, values, mask, granularity, data or examples(3, 2), (0, 0))


def coupling_in(settings: dict[str, Any]) -> str:
    """By default as hyperparameters have it."""
    return cast("str", settings.get("coupling", "grouped"))


def loss_of_one(network: nn.Module, weights: dict[str, Tensor], x: Tensor, y: Tensor) -> float:
    """The loss of one example, by calling a module that was given these weights."""
    model = copy.deepcopy(network).eval()
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name in weights:
                tensor.copy_(weights[name])
        return cross_entropy(model(x[None]), y[None]).item()


def slopes(
    network: nn.Module, weights: dict[str, Tensor], scaled: Any, unit: tuple[str, int]
) -> list[float]:
    """The derivative of each example's loss by a unit's multiplier, by central differences."""
    found = []
    for images, labels in examples(3, 2).loaded:
        for x, y in zip(images, labels, strict=True):
            up, down = (
                loss_of_one(network, scaled(weights, *unit, 1 + step), x, y)
                for step in (STEP, -STEP)
            )
            found.append((up - down) / (2 * STEP))
    return found


def by_mask(granularity: Granularity, start: Mask) -> Any:
    """Units multiplied wherever cutting them would change the mask of weights."""

    def scaled(
        weights: dict[str, Tensor], name: str, index: int, factor: float
    ) -> dict[str, Tensor]:
        units = {key: torch.ones_like(kept) for key, kept in granularity.units(start).items()}
        units[name].view(-1)[index] = False
        mask = granularity.mask(Mask(units), start)
        return {
            key: torch.where(mask[key], value, value * factor) if key in mask else value
            for key, value in weights.items()
        }

    return scaled


def some(granularity: Granularity, start: Mask, count: int = 2) -> list[tuple[str, int]]:
    """The first units of each layer."""
    units = granularity.units(start)
    return [(name, at) for name in units for at in range(min(count, units[name].numel()))]


@pytest.mark.parametrize(
    ("name", "granularity", "coupling"),
    [
        ("chain", "weights", "grouped"),
        ("chain", "kernels", "grouped"),
        ("chain", "blocks", "grouped"),
        ("chain", "channels", "grouped"),
        ("chain", "nodes", "grouped"),
        ("option_b", "channels", "independent"),
        ("option_b", "channels", "inner"),
    ],
)
@pytest.mark.parametrize("strategy", ["gate_saliency", "gate_saliency_cumulative"])
def test_saliency_is_the_slope_of_each_examples_loss(
    name: str, granularity: str, coupling: str, strategy: str
) -> None:
    """Summed without signs; cumulative, of the sums so far, in the order of the examples."""
    network, weights = made(name)
    start = dense(network, weights)
    chosen = granularity_of(network, granularity, coupling=coupling)
    found = scores(network, weights, strategy=strategy, granularity=granularity, coupling=coupling)
    assert {key: value.shape for key, value in found.items()} == {
        key: value.shape for key, value in chosen.units(start).items()
    }
    scaled = by_norm(chosen) if name == "option_b" else by_mask(chosen, start)
    for unit in some(chosen, start):
        expected = slopes(network, weights, scaled, unit)
        assert found[unit[0]].view(-1)[unit[1]].item() == pytest.approx(
            summed(expected, strategy), abs=1e-7
        )


def summed(slopes: list[float], strategy: str) -> float:
    """The score of a unit."""
    if strategy == "gate_saliency":
        return sum(abs(slope) for slope in slopes)
    return sum(abs(sum(slopes[: n + 1])) for n in range(len(slopes)))


NORMS = {"conv": "bn", "shortcut.0": "shortcut.1", "conv1": "bn1", "conv2": "bn2"}


def by_norm(granularity: Granularity) -> Any:
    """Channels of a residual network, multiplied in the norms behind each of their layers."""
    assert isinstance(granularity, Channels)

    def scaled(
        weights: dict[str, Tensor], name: str, index: int, factor: float
    ) -> dict[str, Tensor]:
        other = {key: value.clone() for key, value in weights.items()}
        for family in granularity.families:
            for rows, place in zip(family.rows, family.places, strict=True):
                for layer, row in zip(family.layers, rows, strict=True):
                    if (family.name, place) == (name, index):
                        norm = norm_of(layer)
                        other[f"{norm}.weight"][row] *= factor
                        other[f"{norm}.bias"][row] *= factor
        return other

    return scaled


def norm_of(layer: str) -> str:
    """The norm behind a layer of the residual networks."""
    (end,) = (end for end in NORMS if layer == end or layer.endswith(f".{end}"))
    return layer.removesuffix(end) + NORMS[end]


def test_saliency_of_channels_that_go_together() -> None:
    """The multiplier stands behind each of their layers at once."""
    network, weights = made("option_b")
    chosen = granularity_of(network, "channels")
    found = scores(network, weights, strategy="gate_saliency", granularity="channels")
    for unit in [("conv.weight", 1), ("blocks.1.conv2.weight", 6)]:
        expected = slopes(network, weights, by_norm(chosen), unit)
        assert found[unit[0]][unit[1]].item() == pytest.approx(sum(map(abs, expected)), abs=1e-7)


@pytest.mark.parametrize("name", ["chain", "option_b"])
@pytest.mark.parametrize("strategy", ["gate_saliency", "gate_saliency_cumulative"])
def test_saliency_of_gates(name: str, strategy: str) -> None:
    """The slope by a number that an activation is multiplied by; none for a gate that is cut."""
    network, weights = made(name)
    start = dense(network, weights)
    chosen = granularity_of(network, "gates")
    units = chosen.units(start)
    closed = {key: value.clone() for key, value in units.items()}
    first = next(iter(closed))
    closed[first][0] = False
    mask = Mask({**start, **closed})
    run = with_gates(network, SHAPE, units)
    found = scores(network, weights, mask, strategy=strategy, granularity="gates")

    def scaled(
        weights: dict[str, Tensor], name: str, index: int, factor: float
    ) -> dict[str, Tensor]:
        gates = {n: gate.clone() for n, gate in gate_tensors(closed, torch.float64).items()}
        gates[buffer_name(name)][index] *= factor
        return weights | gates

    for unit in some(chosen, start):
        expected = slopes(run, weights, scaled, unit)
        assert found[unit[0]][unit[1]].item() == pytest.approx(summed(expected, strategy), abs=1e-7)
    assert found[first][0] == 0


def test_saliency_does_not_depend_on_batches() -> None:
    """But for rounding."""
    network, weights = made("chain")
    whole, parts = (
        scores(network, weights, data=data, strategy="gate_saliency", granularity="kernels")
        for data in (examples(6), examples(1, 3, 2))
    )
    for name, values in whole.items():
        torch.testing.assert_close(values, parts[name])


def test_scale_of_norms() -> None:
    """|gamma| of the last norm; of channels that go together, the mean."""
    network, weights = made("option_b")
    weights["blocks.0.bn1.weight"][1] *= -1
    found = scores(network, weights, strategy="bn_scale", granularity="channels")
    assert torch.equal(found["blocks.0.conv1.weight"], weights["blocks.0.bn1.weight"].abs())
    both = [weights[name].abs() for name in ("bn.weight", "blocks.0.bn2.weight")]
    torch.testing.assert_close(found["conv.weight"], (both[0] + both[1]) / 2)
    several = ("blocks.1.bn2", "blocks.1.shortcut.1", "blocks.2.bn2")
    mean = torch.stack([weights[f"{name}.weight"].abs() for name in several]).mean(0)
    torch.testing.assert_close(found["blocks.1.conv2.weight"], mean)


def test_taylor_of_norms() -> None:
    """gamma^2 G_gamma + beta^2 G_beta of each batch's mean gradient, by differences; sums."""
    network, weights = made("option_b")
    found = scores(
        network,
        weights,
        strategy="bn_taylor",
        granularity="channels",
        score_examples=5,
        score_temperature=2.0,
    )

    def slope(key: str, row: int, x: Tensor, y: Tensor) -> float:
        def loss(step: float) -> float:
            model = copy.deepcopy(network).eval()
            with torch.no_grad():
                model.get_parameter(key)[row] += step
                return cross_entropy(model(x) / 2, y).item()

        return (loss(STEP) - loss(-STEP)) / (2 * STEP)

    def expected(norm: str, row: int) -> float:
        return sum(
            len(y) / 5 * (weights[key][row].item() * slope(key, row, x, y)) ** 2
            for x, y in examples(3, 2).loaded
            for key in (f"{norm}.weight", f"{norm}.bias")
        )

    for row in range(3):
        one = found["blocks.2.conv1.weight"][row].item()
        assert one == pytest.approx(expected("blocks.2.bn1", row), rel=1e-5)
        both = found["conv.weight"][row].item()
        assert both == pytest.approx(expected("bn", row) + expected("blocks.0.bn2", row), rel=1e-5)


@pytest.mark.parametrize("strategy", ["bn_scale", "bn_taylor"])
def test_channels_without_norms(strategy: str) -> None:
    """They are refused, by the layer; inner channels of a network with norms first have norms."""
    network, weights = made("chain")
    with pytest.raises(UserError, match=r"body\.0"):
        scores(network, weights, strategy=strategy, granularity="channels")
    network, weights = made("pre_activation")
    with pytest.raises(UserError, match="coupling=inner"):
        scores(network, weights, strategy=strategy, granularity="channels")
    inner = scores(network, weights, strategy=strategy, granularity="channels", coupling="inner")
    assert {"blocks.1.conv1.weight", "blocks.2.conv1.weight"} <= set(inner)


def activations(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What stands behind the activations of the chain and of the residual network, by hand."""
    if hasattr(network, "body"):
        body = cast("nn.Sequential", network.body)
        middle = body[1](body[0](x))
        second = body[4](body[3](body[2](middle)))
        flat = body[5](second).flatten(1)
        hidden = 1.7159 * torch.tanh(0.6666 * cast("nn.Module", network.hidden)(flat))
        return {"body.1": middle, "body.4": second, "tanh": hidden}
    parts = dict(network.named_modules())
    x = parts["bn"](parts["conv"](x)).relu()
    seen = {"relu": x}
    for n in range(3):
        block = f"blocks.{n}"
        y = parts[f"{block}.bn1"](parts[f"{block}.conv1"](x)).relu()
        seen[f"{block}.relu"] = y
        y = parts[f"{block}.bn2"](parts[f"{block}.conv2"](y))
        x = (y + parts[f"{block}.shortcut"](x)).relu()
        seen[f"{block}.relu_1"] = x
    return seen


def statistics(
    network: nn.Module, batches: Batches, alpha: float, beta: float, *, batched: bool
) -> dict[str, list[float]]:
    """-alpha / mean + deviation / beta, position by position, with the formulas of the original."""
    with torch.no_grad():
        seen = [activations(network, x) for x, _ in batches]
    found = {}
    for site in seen[0]:
        parts = [one[site].reshape(*one[site].shape[:2], -1) for one in seen]
        together = torch.cat(parts)
        count, channels, positions = together.shape
        per_channel = []
        for c in range(channels):
            means, deviations = [], []
            for p in range(positions):
                values = together[:, c, p].tolist()
                mean = sum(values) / count
                if batched:
                    squares = sum(sum(part[:, c, p].tolist()) ** 2 for part in parts)
                    variance = squares / count - mean**2
                else:
                    variance = sum((value - mean) ** 2 for value in values) / count
                means.append(mean)
                deviations.append(math.sqrt(max(variance, 0)))
            mean, deviation = sum(means) / positions, sum(deviations) / positions
            per_channel.append(-alpha / (mean + 1e-8) + deviation / beta)
        found[site] = per_channel
    return found


@pytest.mark.parametrize("name", ["chain", "option_b"])
@pytest.mark.parametrize("batched", [False, True])
def test_statistics_of_gates(name: str, batched: bool) -> None:  # noqa: FBT001 - pytest passes it
    """Of every activation, after ReLU and after sums; alpha and beta weigh the two parts."""
    network, weights = made(name)
    strategy = "activation_statistics_batched" if batched else "activation_statistics"
    weighed: dict[str, Any] = {"stat_alpha": 2.0, "stat_beta": 0.5}
    found = scores(network, weights, strategy=strategy, granularity="gates", **weighed)
    expected = statistics(network, examples(3, 2).loaded, 2.0, 0.5, batched=batched)
    assert set(found) == {f"gate:{site}" for site in expected}
    for site, values in expected.items():
        assert found[f"gate:{site}"].tolist() == pytest.approx(values, rel=1e-6)


def test_batches_of_one_have_the_right_deviation() -> None:
    """There the published formula is that of the deviation."""
    network, weights = made("option_b")
    one, other = (
        scores(network, weights, data=examples(1, 1, 1), strategy=strategy, granularity="gates")
        for strategy in ("activation_statistics", "activation_statistics_batched")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_statistics_of_channels_and_nodes() -> None:
    """Those of the activation that the layer makes; of channels that go together, the mean."""
    network, weights = made("chain")
    expected = statistics(network, examples(3, 2).loaded, 1, 1, batched=False)
    found = scores(network, weights, strategy="activation_statistics", granularity="nodes")
    assert found["hidden.weight"].tolist() == pytest.approx(expected["tanh"], rel=1e-6)
    network, weights = made("option_b")
    expected = statistics(network, examples(3, 2).loaded, 1, 1, batched=False)
    found = scores(network, weights, strategy="activation_statistics", granularity="channels")
    assert found["blocks.1.conv1.weight"].tolist() == pytest.approx(expected["blocks.1.relu"])
    both = zip(expected["relu"], expected["blocks.0.relu_1"], strict=True)
    assert found["conv.weight"].tolist() == pytest.approx([(a + b) / 2 for a, b in both])


def test_statistics_see_gates_that_are_closed() -> None:
    """An activation that is cut is zero for all that comes after it."""
    network, weights = made("option_b")
    units = granularity_of(network, "gates").units(dense(network, weights))
    closed = {
        name: torch.arange(len(kept)) != 2 for name, kept in units.items() if name == "gate:relu"
    }
    mask = Mask({**dense(network, weights), **units, **closed})
    settings = {"strategy": "activation_statistics", "granularity": "gates"}
    found = scores(network, weights, mask, **settings)
    model = copy.deepcopy(network)
    with torch.no_grad():
        for part in ("weight", "bias"):
            model.get_parameter(f"bn.{part}")[2] = 0
    expected = statistics(model, examples(3, 2).loaded, 1, 1, batched=False)
    after = [site for site in expected if site != "relu"]
    for site in after:
        assert found[f"gate:{site}"].tolist() == pytest.approx(expected[site], rel=1e-6)


@pytest.mark.parametrize("granularity", ["weights", "kernels", "channels", "gates", "blocks"])
def test_random_is_a_draw_for_each_unit(granularity: str) -> None:
    """Uniform, whatever a unit consists of; another key gives others."""
    network, weights = made("option_b")
    found = scores(network, weights, strategy="random", granularity=granularity)
    flat = torch.cat([values.flatten() for values in found.values()])
    assert len(flat.unique(sorted=True)) > 0.99 * len(flat)  # type: ignore[no-untyped-call]
    assert 0 <= flat.min() < 0.2
    assert 0.8 < flat.max() < 1
    units = granularity_of(network, granularity).units(dense(network, weights))
    assert {n: v.shape for n, v in found.items()} == {n: v.shape for n, v in units.items()}


@pytest.mark.parametrize(
    ("strategy", "granularity"),
    [
        ("bn_scale", "nodes"),
        ("bn_taylor", "gates"),
        ("activation_statistics", "kernels"),
        ("activation_statistics", "weights"),
    ],
)
def test_units_that_a_criterion_does_not_serve(strategy: str, granularity: str) -> None:
    """They are refused, and what it serves is named."""
    network, weights = made("chain")
    with pytest.raises(UserError, match=f"not {granularity}"):
        scores(network, weights, strategy=strategy, granularity=granularity)


def test_published_amounts() -> None:
    """2000 augmented examples for saliencies, 2560 for Taylor's; all for statistics."""
    network, _ = made("option_b")

    def asked(strategy: str) -> Asked:
        criterion: Any = scored_by(subject_of(network, strategy=strategy, granularity="channels"))
        return cast("Asked", criterion.examples)

    assert asked("gate_saliency")[1:5] == (2000, None, 100, True)
    assert asked("gate_saliency").resolved(1438, 10).examples == 1438
    assert asked("bn_taylor")[1:5] == (2560, None, 128, True)
    assert asked("activation_statistics").resolved(700, 10) == Asked(examples=700)
