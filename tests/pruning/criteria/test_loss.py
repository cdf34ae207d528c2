"""What all criteria made of the loss have in common: precision, mode, keys, odd networks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from foundations.errors import UserError
from pruning.criteria import Examples as Asked
from pruning.criteria import per_example
from pruning.criteria.first_order import FirstOrder, WeightedFirstOrder
from pruning.criteria.fisher import Fisher
from pruning.criteria.grasp import Grasp
from pruning.criteria.hessian_gradient import HessianGradient
from pruning.criteria.snip import Snip
from pruning.mask import Mask
from tests.pruning.networks import (
    CONV_NAMES,
    CONV_SHAPE,
    Examples,
    Weights,
    batches,
    conv_net,
    copied,
    drawn,
    partly,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pruning.criteria.loss import LossCriterion

CRITERIA: dict[str, Callable[..., LossCriterion]] = {
    "snip": partial(Snip, Asked()),
    "snip_example": partial(Snip, Asked(), per_example=True),
    "grasp": partial(Grasp, Asked(), temperature=1.0),
    "wg": partial(FirstOrder, Asked()),
    "w2g": partial(WeightedFirstOrder, Asked()),
    "whg": partial(HessianGradient, Asked()),
    "fisher": partial(Fisher, Asked()),
    "fisher_example": partial(Fisher, Asked(), per_example=True),
}

every = pytest.mark.parametrize("name", CRITERIA)
both_modes = pytest.mark.parametrize("training", [False, True])


def scored(
    criterion: LossCriterion, network: nn.Module, weights: Weights, names: list[str], key: int = 0
) -> Weights:
    """The scores of masked weights on two batches."""
    mask = partly(weights, names)
    data = Examples(batches([6, 3], CONV_SHAPE), CONV_SHAPE)
    return criterion(network, mask.apply(weights), mask, data, (0, key))


class Odd(nn.Module):
    """A constant that no state has, dropout, a weight that is not used, and a sum of weights."""

    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.linspace(-1, 1, 50), persistent=False)
        self.drop = nn.Dropout(0.5)
        self.base, self.update = nn.Linear(50, 3), nn.Linear(50, 3)
        self.unused = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 3)."""
        x = self.drop(x.flatten(1) + self.shift)
        return x @ (self.base.weight + self.update.weight).t()


ODD_NAMES = ["base.weight", "update.weight", "unused.weight"]


@every
@both_modes
def test_precision(name: str, training: bool) -> None:  # noqa: FBT001 - pytest passes it
    """The precision asked for is that of the arithmetic and the scores, whatever the weights'."""
    network, weights = conv_net()
    doubled = {n: w.double() if w.is_floating_point() else w for n, w in weights.items()}
    make = partial(CRITERIA[name], training=training)
    precise = scored(make(precision="float64"), network, weights, CONV_NAMES)
    reference = scored(make(), network.double(), doubled, CONV_NAMES)
    single = scored(make(precision="float32"), network, doubled, CONV_NAMES)
    for layer, values in reference.items():
        assert (precise[layer].dtype, single[layer].dtype) == (torch.float64, torch.float32)
        assert torch.equal(precise[layer], values)
        scale = values.abs().max().item()
        difference = (single[layer] - values).abs().max().item()
        assert 0 < difference < 1e-4 * scale


@every
def test_precision_of_constants(name: str) -> None:
    """Buffers that no state has are computed with in that precision too."""
    network = Odd()
    scores = scored(CRITERIA[name](precision="float64"), network, drawn(network), ODD_NAMES)
    assert {values.dtype for values in scores.values()} == {torch.float64}
    assert network.shift.dtype == torch.float32


def test_precision_unknown() -> None:
    """There are two."""
    with pytest.raises(UserError, match=r"precision 'float16'.*float32, float64"):
        Snip(Asked(), precision="float16")


@every
def test_mode(name: str) -> None:
    """The mode decides which statistics batch norm takes, and has an effect."""
    network, weights = conv_net(torch.float64)
    moved = weights | {"norm.running_mean": weights["norm.running_mean"] + 1}
    for training in (True, False):
        criterion = CRITERIA[name](training=training)
        one, two = (scored(criterion, network, w, CONV_NAMES) for w in (weights, moved))
        assert all(torch.equal(one[n], two[n]) for n in one) == training


@every
@both_modes
def test_nothing_changes(name: str, training: bool) -> None:  # noqa: FBT001 - pytest passes it
    """Weights, buffers and the modes of parts are as they were."""
    network, weights = conv_net()
    network.train()
    network.norm.eval()
    before, own = copied(weights), copied(network.state_dict())
    scores = scored(CRITERIA[name](training=training), network, weights, CONV_NAMES)
    assert (network.training, network.norm.training) == (True, False)
    assert all(torch.equal(weights[n], before[n]) for n in weights)
    assert all(torch.equal(tensor, own[n]) for n, tensor in network.state_dict().items())
    assert not any(values.requires_grad for values in scores.values())


@every
def test_dropout_is_keyed(name: str) -> None:
    """In training mode, one key gives one score; another key, another."""
    network = Odd()
    weights = drawn(network)
    criterion = CRITERIA[name](training=True)
    one, same, other = (scored(criterion, network, weights, ODD_NAMES, key) for key in (0, 0, 1))
    assert torch.equal(one["base.weight"], same["base.weight"])
    assert not torch.equal(one["base.weight"], other["base.weight"])


@every
@both_modes
def test_weights_that_share_a_gradient_or_have_none(name: str, training: bool) -> None:  # noqa: FBT001 - pytest passes it
    """Two weights that are added score as equals would, and one without use scores zero."""
    network = Odd()
    weights = drawn(network)
    weights["update.weight"] = weights["base.weight"].clone()
    mask = Mask.dense(weights, ODD_NAMES)
    data = Examples(batches([6, 3], CONV_SHAPE), CONV_SHAPE)
    scores = CRITERIA[name](training=training)(network, weights, mask, data, (0, 0))
    assert torch.equal(scores["base.weight"], scores["update.weight"])
    assert scores["base.weight"].count_nonzero() > 0
    assert scores["unused.weight"].count_nonzero() == 0


@pytest.mark.parametrize("name", ["snip_example", "fisher_example"])
def test_chunks_have_no_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many gradients are held at once, the scores are those of one at a time."""
    network, weights = conv_net(torch.float64)
    entries = sum(weights[n].numel() for n in CONV_NAMES)
    found = []
    for at_once in (0, 1, 2, 4, 100):
        monkeypatch.setitem(per_example.ENTRIES, "cpu", at_once * entries)
        found.append(scored(CRITERIA[name](), network, weights, CONV_NAMES))
    for other in found[1:]:
        for layer, values in found[0].items():
            torch.testing.assert_close(other[layer], values, rtol=1e-12, atol=1e-15)
