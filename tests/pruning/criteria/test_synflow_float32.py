"""SynFlow in float32 against float64: the same scores but for a power of two, at any depth."""

from __future__ import annotations

import gc
import math
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from foundations.errors import UserError
from models.build import build, prunable
from models.hparams import ModelHparams
from pruning.criteria.flow import Plan, plan_of
from pruning.criteria.synflow import SynFlow
from pruning.mask import Mask
from pruning.select import cut
from tests.pruning.networks import (
    CONV_NAMES,
    CONV_SHAPE,
    Examples,
    Weights,
    conv_net,
    drawn,
    partly,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Shape = tuple[int, int, int]


def scores_of(
    precision: str, network: nn.Module, weights: Weights, mask: Mask, shape: Shape
) -> dict[str, Tensor]:
    """Scores of masked weights; what is given stays as it was."""
    criterion = SynFlow(precision)
    return criterion(network, mask.apply(weights), mask, Examples([], shape), (0, 0))


def assert_same_but_for_a_power_of_two(
    network: nn.Module, weights: Weights, mask: Mask, shape: Shape
) -> int:
    """Scores in float32 are those in float64, divided by one power of two, which is returned."""
    wide = scores_of("float64", network, weights, mask, shape)
    narrow = scores_of("float32", network, weights, mask, shape)
    assert {scores.dtype for scores in narrow.values()} == {torch.float32}
    layer = max(wide, key=lambda name: float(wide[name].max()))
    factor = float(wide[layer].max()) / float(narrow[layer].max())
    power = round(math.log2(factor))
    for name, scores in wide.items():
        torch.testing.assert_close(
            narrow[name].double(), scores * 2.0**-power, rtol=1e-4, atol=0, msg=name
        )
    return power


class Residual(nn.Module):
    """What networks are made of: sums, joins, pools, norms without a convolution, padding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.one = nn.Conv2d(6, 6, 3, stride=2, padding=1, bias=False)
        self.two = nn.Conv2d(6, 6, 3, padding=(2, 1), dilation=(2, 1), groups=3)
        self.bn = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.few = nn.Conv2d(12, 5, (3, 2), stride=(1, 2), padding=(0, 1))
        self.hidden = nn.Linear(10, 7)
        self.last = nn.BatchNorm1d(7)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 3) of (B, 2, 16, 16)."""
        x = functional.relu(self.norm(self.stem(x)))
        y = self.one(x)
        y += x[:, :, ::2, ::2]
        z = functional.pad(self.relu(self.bn(self.two(y))), (0, 0, 1, 1))
        z = self.pool(z[:, :, 1:-1] + y)
        z = torch.cat([z, functional.avg_pool2d(y, 2)], 1)
        z = functional.max_pool2d(z, 2, 1, 0)
        z = self.few(z[:, :, :4, :3])
        z = z.mean(2).view(x.size(0), -1).reshape(x.shape[0], -1)
        out: Tensor = self.fc(self.drop(self.last(self.hidden(z))))
        return out


def networks() -> dict[str, tuple[Callable[[], nn.Module], Shape]]:
    """Networks, and the shapes of their inputs."""
    named = {
        name: (lambda name=name: built(name), (3, 32, 32))
        for name in ("cifar_resnet_8", "cifar_resnet_50", "cifar_vgg_11", "cifar_preresnet_20")
    }
    return {**named, "residual": (Residual, (2, 16, 16))}


def built(name: str) -> nn.Module:
    """One of ours."""
    hparams = ModelHparams(model_name=name, model_init="kaiming_normal", batchnorm_init="uniform")
    return build(hparams, shape=(3, 32, 32), classes=10, seed=1)


@pytest.mark.parametrize("name", networks())
@pytest.mark.parametrize("trained", [False, True])
def test_as_in_float64(name: str, *, trained: bool) -> None:
    """Masked networks, at initialization and with statistics that make activations negative."""
    make, shape = networks()[name]
    network = make()
    weights = drawn(network) if trained else dict(network.state_dict())
    assert plan_of(network.eval()) is not None
    assert_same_but_for_a_power_of_two(network, weights, partly(weights, prunable(network)), shape)


def chain(depth: int, gain: float, side: int) -> nn.Sequential:
    """Convolutions with biases and batch norms, each multiplying what flows by the gain or so."""
    layers = [
        layer
        for _ in range(depth)
        for layer in (nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    ]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * side * side, 3))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            norm = weight.dim() == 1 and name.endswith("weight")
            weight.fill_(1.0) if norm else weight.uniform_(-0.06, 0.06).mul_(gain)
            if name.endswith("bias"):
                weight.zero_() if gain < 1 else None
    return network


@pytest.mark.parametrize(("gain", "side"), [(100.0, 6), (100.0, 3), (0.01, 6)])
def test_flows_beyond_float32(gain: float, side: int) -> None:
    """A flow far above or below all numbers of float32 is scored like any."""
    torch.manual_seed(0)
    network = chain(30, gain, side)
    weights = dict(network.state_dict())
    mask = partly(weights, prunable(network))
    power = assert_same_but_for_a_power_of_two(network, weights, mask, (4, side, side))
    assert power > 150 if gain > 1 else power < -150


class Branches(nn.Module):
    """A deep branch and a shallow one, added: of very different sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(12)))
        self.shallow = nn.Linear(8, 8)
        self.fc = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 3) of (B, 2, 2, 2)."""
        x = x.flatten(1)
        both = torch.cat([self.deep(x) + self.shallow(x), self.shallow(x)], 1)
        out: Tensor = self.fc(both)
        return out


def test_sums_of_unequal_flows() -> None:
    """What is added is brought to one power of two, and a layer that is used twice is scored so."""
    network = Branches()
    weights = {name: weight * 4 for name, weight in drawn(network).items()}
    mask = Mask.dense(weights, prunable(network))
    assert assert_same_but_for_a_power_of_two(network, weights, mask, (2, 2, 2)) > 16


def test_masks_of_many_iterations() -> None:
    """Thirty iterations cut what they cut in float64."""
    network = built("cifar_resnet_8")
    weights = dict(network.state_dict())
    kept = {}
    for precision in ("float64", "float32"):
        mask = Mask.dense(weights, prunable(network))
        for _ in range(30):
            scores = scores_of(precision, network, weights, mask, (3, 32, 32))
            mask = Mask(cut(scores, mask, mask.kept // 10))
        kept[precision] = mask
    both = sum(int((kept["float64"][name] & kept["float32"][name]).sum()) for name in mask)
    assert both >= 0.999 * mask.kept


class Shared(nn.Module):
    """One tensor under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(8, 8)
        self.two = nn.Linear(8, 8)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        """(B, 8) of (B, 2, 2, 2)."""
        out: Tensor = self.two(self.one(x.flatten(1)))
        return out


class Reread(nn.Module):
    """What is overwritten is read again."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, 2, 2)."""
        x = x * 1
        functional.relu(x, inplace=True)
        return x


class Choosing(nn.Module):
    """Its way depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 3) of (B, 2, 2, 2)."""
        out: Tensor = self.fc(x.flatten(1) if x.sum() > 0 else -x.flatten(1))
        return out


def hooked() -> nn.Module:
    """A network that someone looks into."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
    network[1].register_forward_hook(lambda *_: None)
    return network


UNKNOWN: dict[str, Callable[[], nn.Module]] = {
    "tanh": lambda: nn.Sequential(nn.Flatten(), nn.Linear(8, 3), nn.Tanh()),
    "statistics of the batch": lambda: nn.Sequential(
        nn.BatchNorm2d(2, track_running_stats=False), nn.Flatten(), nn.Linear(8, 3)
    ),
    "reflecting": lambda: nn.Sequential(
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), nn.Flatten(), nn.Linear(8, 3)
    ),
    "shared": Shared,
    "reread": Reread,
    "choosing": Choosing,
    "hooked": hooked,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_networks_are_not_guessed(name: str) -> None:
    """Of a network that is not understood there is no plan."""
    assert plan_of(UNKNOWN[name]().eval()) is None


def test_unknown_networks_are_scored_in_float64() -> None:
    """They get the scores of the reference, to the last bit."""
    network, weights = conv_net()  # which has a tanh
    mask = partly(weights, CONV_NAMES)
    found = scores_of("float32", network, weights, mask, CONV_SHAPE)
    wanted = scores_of("float64", network, weights, mask, CONV_SHAPE)
    assert all(torch.equal(found[name], wanted[name]) for name in mask)


@pytest.mark.parametrize("extreme", [1e-30, 1e30])
def test_weights_beyond_float32s_reach(extreme: float) -> None:
    """Where float32 has no numbers, float64 does the work."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 8), nn.Linear(8, 3))
    weights = {name: weight * extreme for name, weight in drawn(network).items()}
    mask = Mask.dense(weights, prunable(network))
    found = scores_of("float32", network, weights, mask, (2, 2, 2))
    assert all(scores.isfinite().all() and scores.max() > 0 for scores in found.values())


def test_network_and_switches_stay() -> None:
    """Modes, weights and threads are as before."""
    network = built("cifar_resnet_8").train()
    weights = dict(network.state_dict())
    before = {name: weight.clone() for name, weight in weights.items()}
    threads = torch.get_num_threads()
    scores_of("float32", network, weights, partly(weights, prunable(network)), (3, 32, 32))
    assert all(module.training for module in network.modules())
    assert all(torch.equal(weights[name], before[name]) for name in weights)
    assert torch.get_num_threads() == threads


def test_networks_are_traced_once_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is kept from round to round, but keeps no network in memory."""
    made: list[Plan | None] = []

    def counting(network: nn.Module) -> Plan | None:
        made.append(plan_of(network))
        return made[-1]

    monkeypatch.setattr("pruning.criteria.synflow.plan_of", counting)
    network, criterion, data = built("cifar_vgg_11"), SynFlow("float32"), Examples([], (3, 32, 32))
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    mask = Mask.dense(weights, prunable(network))
    for position in range(2):
        criterion(network, weights, mask, data, (0, position))
    assert len(made) == 1
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None


def test_no_such_precision() -> None:
    """Another precision is refused, with those that there are."""
    wrong: Any = "bfloat16"
    with pytest.raises(UserError, match=r"'bfloat16'.*float64 or float32"):
        SynFlow(wrong)
