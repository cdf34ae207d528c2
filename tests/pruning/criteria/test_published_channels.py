"""Channel criteria of both papers: filter by filter, with slow derivatives, in float64."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from foundations.draws import generator
from models.build import prunable
from pruning.choices import GRANULARITIES
from pruning.criteria import UnitCriterion
from pruning.hparams import PruningHparams
from pruning.mask import Mask
from pruning.scored import scored_by
from pruning.strategies import parse_strategy
from pruning.subject import Subject
from tests.pruning.criteria.reference import Slow
from tests.pruning.networks import CONV_SHAPE, Examples, Weights, batches, drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pruning.networks import Batches


class Separable(nn.Module):
    """A convolution, a depthwise one, a pointwise one, norms behind all, as in MobileNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3)
        self.deep, self.bn2 = nn.Conv2d(3, 3, 3, groups=3, bias=False), nn.BatchNorm2d(3)
        self.conv2, self.bn3 = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 3)."""
        x = torch.tanh(self.bn1(self.conv1(x)))
        x = torch.tanh(self.bn2(self.deep(x)))
        x = torch.tanh(self.bn3(self.conv2(x)))
        out: Tensor = self.fc(x.mean((2, 3)))
        return out


NAMES = ("conv1.weight", "conv2.weight")
NORMS = {"conv1.weight": "bn1", "conv2.weight": "bn3"}
"""Of each convolution, the norm of its own."""

DATA: Batches = batches([4, 2], CONV_SHAPE)


@cache
def _made() -> tuple[nn.Module, Weights, Weights]:
    """The network, its weights, and those that it began from."""
    network = Separable().double()
    weights = drawn(network)
    began = {
        name: value + torch.randn(value.shape, generator=generator(5, name), dtype=value.dtype)
        for name, value in weights.items()
        if value.is_floating_point()
    }
    return network, weights, began


def _scores(strategy: str, data: Batches = DATA, **settings: Any) -> dict[str, Tensor]:
    """Of the channels, as pruning finds them."""
    network, weights, began = _made()
    hparams = PruningHparams(strategy=strategy, granularity="channels", **settings)
    subject = Subject(network, hparams, CONV_SHAPE, initial=began)
    granularity, criterion = GRANULARITIES["channels"].of(subject), scored_by(subject)
    mask, examples = Mask.dense(weights, prunable(network)), Examples(data, CONV_SHAPE)
    if isinstance(criterion, UnitCriterion):
        return criterion.units(network, weights, mask, granularity, examples, (0, 0))
    scored = Mask({name: mask[name] for name in granularity.scored(mask)})
    single = criterion(network, weights, scored, examples, (0, 0))
    return dict(granularity.scores(single, mask))


def _slow(strategy: str, names: tuple[str, ...] = NAMES) -> Slow:
    """The loss at the temperature of the strategy."""
    network, weights, _ = _made()
    temperature = parse_strategy(strategy).settings["temperature"]
    return Slow(network, weights, names, training=False, temperature=temperature)


def _squares(strategy: str, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The squared gradient of each batch's mean loss, averaged with the batches' sizes."""
    slow, found = _slow(strategy, names), {}
    for name in names:
        parts = [len(y) * slow.slopes(x, y)[name].mean(0) ** 2 for x, y in DATA]
        found[name] = torch.stack(parts).sum(0) / sum(len(y) for _, y in DATA)
    return found


def _curved(strategy: str) -> dict[str, Tensor]:
    """Hg, g the mean of the classes' gradients and Hg that of their Hessians times it."""
    network, _, _ = _made()
    slow = _slow(strategy, tuple(name for name, _ in network.named_parameters()))
    classes = _by_class()
    gradient = torch.stack([slow.flat(slow.slope([one])) for one in classes]).mean(0)
    curved = torch.stack([slow.hessian([one]) @ gradient for one in classes]).mean(0)
    return slow.unflattened(curved)


BALANCED: Batches = batches([3, 3], CONV_SHAPE)


def _by_class() -> Batches:
    """A batch for each class, of two examples."""
    images, labels = (torch.cat(parts) for parts in zip(*BALANCED, strict=True))
    return [(images[labels == label], labels[labels == label]) for label in range(3)]


def _each(score: Callable[[str, int], float]) -> dict[str, list[float]]:
    """What is found for each filter."""
    _, weights, _ = _made()
    return {name: [score(name, at) for at in range(len(weights[name]))] for name in NAMES}


def _terms(name: str, at: int, *others: dict[str, Tensor]) -> list[tuple[float, ...]]:
    """The weights of a filter, each with what others have in its place."""
    _, weights, _ = _made()
    flat = [tensors[name][at].flatten().tolist() for tensors in (weights, *others)]
    return list(zip(*flat, strict=True))


def _check(found: dict[str, Tensor], expected: dict[str, list[float]], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].tolist() == pytest.approx(values, rel=tolerance, abs=1e-11)


def test_norms_and_sums_of_filters() -> None:
    """The sum as published has the signs of the weights; its lowest is no small filter."""
    norms: dict[str, Callable[[list[float]], float]] = {
        "filter_l1": lambda filter_: sum(abs(w) for w in filter_),
        "filter_l2": lambda filter_: math.sqrt(sum(w * w for w in filter_)),
        "filter_signed_sum": sum,
    }
    for strategy, norm in norms.items():
        expected = _each(lambda name, at, norm=norm: norm([w for (w,) in _terms(name, at)]))  # type: ignore[misc]
        _check(_scores(strategy), expected, 1e-12)
    signed = torch.cat([*_scores("filter_signed_sum").values()])
    true = torch.cat([*_scores("filter_l1").values()])
    assert signed.min() < 0
    assert signed.argmin() != true.argmin()


def test_first_order() -> None:
    """Sums of |w g|, w g, |w^2 g|, and |w - w0| |w g|, g of all examples together."""
    _, _, began = _made()
    g = _slow("wg").slope(DATA)
    _check(_scores("wg"), _each(lambda n, f: sum(abs(w * s) for w, s in _terms(n, f, g))), 1e-6)
    signed = _each(lambda n, f: abs(sum(w * s for w, s in _terms(n, f, g))))
    _check(_scores("wg_signed"), signed, 1e-6)
    biased = _each(lambda n, f: sum(abs(w * w * s) for w, s in _terms(n, f, g)))
    _check(_scores("w2g"), biased, 1e-6)
    far = _each(lambda n, f: sum(abs((w - b) * w * s) for w, s, b in _terms(n, f, g, began)))
    _check(_scores("wg", score_distance=True), far, 1e-6)


def test_squared_gradients() -> None:
    """w^2 G, and of norms gamma^2 G + beta^2 G, G of the gradients of minibatches."""
    squares = _squares("fisher", NAMES)
    information = _each(lambda n, f: sum(w * w * s for w, s in _terms(n, f, squares)))
    _check(_scores("fisher"), information, 1e-5)
    _, weights, _ = _made()
    parts = tuple(f"{norm}.{part}" for norm in NORMS.values() for part in ("weight", "bias"))
    of_norms = _squares("bn_taylor", parts)

    def taylor(name: str, at: int) -> float:
        own = [f"{NORMS[name]}.{part}" for part in ("weight", "bias")]
        return sum((weights[part][at] ** 2 * of_norms[part][at]).item() for part in own)

    _check(_scores("bn_taylor"), _each(taylor), 1e-5)


def test_scale_of_the_norm_of_the_filter() -> None:
    """Not that of the depthwise convolution that follows it."""
    _, weights, _ = _made()
    expected = _each(lambda name, at: abs(weights[f"{NORMS[name]}.weight"][at].item()))
    _check(_scores("bn_scale"), expected, 1e-12)


@pytest.mark.parametrize(("strategy", "final"), [("whg", float), ("whg_abs", abs)])
def test_hessian_times_gradient(strategy: str, final: Callable[[float], float]) -> None:
    """Sums of w Hg, of classes that weigh the same, in whatever batches."""
    curved = _curved(strategy)
    expected = _each(lambda n, f: final(sum(w * h for w, h in _terms(n, f, curved))))
    for data in (BALANCED, _by_class()):
        _check(_scores(strategy, data), expected, 1e-5)


def test_temperatures() -> None:
    """5, but 200 and 1 for the two of the Hessian."""
    asked = ("wg", "wg_signed", "w2g", "fisher", "bn_taylor", "whg", "whg_abs")
    found = [parse_strategy(name).settings["temperature"] for name in asked]
    assert found == [5, 5, 5, 5, 5, 200, 1]
