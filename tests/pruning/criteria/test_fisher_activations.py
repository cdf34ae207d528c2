"""Fisher information of activations, against gradients kept at modules, in float64."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from foundations.errors import UserError
from models.gates import buffer_name, gate_name, gated
from models.wiring import wiring
from pruning.criteria import UnitCriterion
from pruning.criteria.activation_gates import (
    gates_of_examples,
    information,
    sites_of,
    unit_sums,
)
from pruning.scored import scored_by
from pruning.strategies import parse_strategy
from tests.models.graphs import CLASSES, SHAPE, drawn
from tests.pruning.granularities.examples import (
    dense,
    examples,
    granularity_of,
    made,
    pruned,
    subject_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pruning.mask import Mask

SIZES = (4, 3)
"""Of the batches, the last of which is smaller."""


def _conv(inputs: int, outputs: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups, bias=False)


class Net(nn.Module):
    """A stem, a block that is added to it, a depthwise convolution between, a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.act = _conv(3, 4), nn.BatchNorm2d(4), nn.ReLU()
        self.conv1, self.bn1, self.act1 = _conv(4, 5), nn.BatchNorm2d(5), nn.ReLU(inplace=True)
        self.deep, self.bn2, self.act2 = _conv(5, 5, 5), nn.BatchNorm2d(5), nn.ReLU()
        self.conv2, self.bn3, self.act3 = _conv(5, 4), nn.BatchNorm2d(4), nn.ReLU()
        self.hidden, self.act4 = nn.Linear(4, 6), nn.ReLU()
        self.fc = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.act(self.norm(self.stem(x)))
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.act2(self.bn2(self.deep(y)))
        x = self.act3(x + self.bn3(self.conv2(y)))
        out: Tensor = self.fc(self.act4(self.hidden(x.mean((2, 3)))))
        return out


SITES = {
    "stem.weight": ("act", "act3"),
    "conv1.weight": ("act1", "act2"),
    "hidden.weight": ("act4",),
}
"""The activations of the channels, by the first of the layers that are cut together."""


def _net() -> tuple[nn.Module, dict[str, Tensor]]:
    network = drawn(Net())
    return network, {n: value.detach().clone() for n, value in network.state_dict().items()}


def _scores(
    network: nn.Module, weights: dict[str, Tensor], mask: Mask | None = None, **settings: Any
) -> dict[str, Tensor]:
    chosen = {"strategy": "fisher_activations", "granularity": "channels", **settings}
    criterion = scored_by(subject_of(network, **chosen))
    assert isinstance(criterion, UnitCriterion)
    coupling = chosen.get("coupling", "grouped")
    granularity = granularity_of(network, chosen["granularity"], coupling=coupling)
    mask = mask or dense(network, weights)
    data = examples(*SIZES)
    return criterion.units(network, mask.apply(weights), mask, granularity, data, (0, 0))


def _products(
    model: nn.Module, names: Sequence[str], loss: Callable[[], Tensor]
) -> dict[str, Tensor]:
    """The sum over positions of a dL/da, (B, channels), of the outputs that modules give."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_: nn.Module, __: Any, out: Tensor) -> None:
            seen[name] = out
            out.retain_grad()

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    loss().backward()  # type: ignore[no-untyped-call]
    for hook in hooks:
        hook.remove()
    return {
        name: torch.stack(
            [torch.stack([(a * g).sum() for a, g in zip(*each, strict=True)]) for each in pairs]
        ).detach()
        for name, out in seen.items()
        for pairs in [list(zip(out, out.grad if out.grad is not None else out, strict=True))]
    }


def _slow(
    network: nn.Module, *, training: bool, temperature: float = 1.0, batch_mean: bool = False
) -> dict[str, Tensor]:
    """By unit: in evaluation mode one example after another, in training mode batch by batch."""
    model = copy.deepcopy(network).train(training)
    names = [name for sites in SITES.values() for name in sites]
    squares: dict[str, list[Tensor]] = {name: [] for name in SITES}
    for x, y in examples(*SIZES).loaded:
        parts = [(x, y)] if training else [(x[n, None], y[n, None]) for n in range(len(y))]
        of_batch: dict[str, list[Tensor]] = {name: [] for name in SITES}
        for images, labels in parts:

            def loss(images: Tensor = images, labels: Tensor = labels) -> Tensor:
                logits = model(images) / temperature
                return cross_entropy(logits, labels, reduction="sum")

            found = _products(model, names, loss)
            for unit, sites in SITES.items():
                together = sum((found[name] for name in sites[1:]), found[sites[0]])
                of_batch[unit] += list(together)
        for unit, rows in of_batch.items():
            scale = len(y) if batch_mean else 1
            own = [(row / scale) ** 2 / 2 for row in rows]
            squares[unit] += [torch.stack(own).mean(0)] if batch_mean else own
    return {unit: torch.stack(rows).mean(0) for unit, rows in squares.items()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_half_the_mean_of_squared_sums(training: bool, temperature: float) -> None:  # noqa: FBT001 - pytest passes it
    """Over examples, of the sum over positions and over the sites of the channel."""
    network, weights = _net()
    mode = "train" if training else "eval"
    found = _scores(network, weights, score_mode=mode, score_temperature=temperature)
    expected = _slow(network, training=training, temperature=temperature)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-9, atol=0)
    assert min(values.max() for values in expected.values()) > 1e-6


def test_as_published() -> None:
    """On 100 batches of 128; the fault of the original, the mean of a batch for L, by its name."""
    network, weights = _net()
    published = parse_strategy("fisher_activations").settings
    assert published["examples"][:5] == (None, 100 * 128, None, 128, True)
    found = _scores(network, weights, strategy="fisher_activations_batch_mean")
    expected = _slow(network, training=True, batch_mean=True)
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-9, atol=0)
    whole = _scores(network, weights)
    assert not torch.allclose(found["conv1.weight"], whole["conv1.weight"])


def test_nothing_of_the_network_changes() -> None:
    """Neither statistics of norms nor modes."""
    network, weights = _net()
    before = {name: value.clone() for name, value in weights.items()}
    _scores(network, weights)
    assert all(torch.equal(before[name], value) for name, value in weights.items())
    assert not any(module.training for module in network.modules())
    state = network.state_dict()
    assert all(torch.equal(before[name], value) for name, value in state.items())


def test_single_precision_can_be_asked_for() -> None:
    """And is another arithmetic, not another result."""
    network, weights = _net()
    exact, rough = (_scores(network, weights, score_precision=p) for p in (None, "float32"))
    for name, values in exact.items():
        assert rough[name].dtype == torch.float32
        torch.testing.assert_close(rough[name].double(), values, rtol=1e-3, atol=1e-9)


def test_gates() -> None:
    """Each by itself; that of the network is of as many sites as it has activations and sums."""
    network, weights = _net()
    found = _scores(network, weights, granularity="gates", score_mode="eval")
    alone = {name: sites for name, sites in SITES.items() if len(sites) == 1}
    grouped = _scores(network, weights, score_mode="eval")
    for name, (site,) in alone.items():
        torch.testing.assert_close(found[gate_name(site)], grouped[name])


def test_masked_gates_stay_closed() -> None:
    """What a closed gate lets through is nothing: its information is zero, others' change."""
    network, weights = _net()
    closed = {buffer_name(gate_name("act1")): torch.tensor([1.0, 0, 1, 1, 1]).double()}
    found = _scores(network, weights, granularity="gates")
    run = _scores_with(network, weights, closed)
    assert run[gate_name("act1")][1] == 0
    assert found[gate_name("act1")][1] > 0
    assert not torch.equal(run[gate_name("act2")], found[gate_name("act2")])


def _scores_with(
    network: nn.Module, weights: dict[str, Tensor], gates: dict[str, Tensor]
) -> dict[str, Tensor]:
    settings = {"strategy": "fisher_activations", "granularity": "gates"}
    criterion = scored_by(subject_of(network, **settings))
    assert isinstance(criterion, UnitCriterion)
    chosen = granularity_of(network, "gates")
    mask = dense(network, weights)
    return criterion.units(network, weights | gates, mask, chosen, examples(*SIZES), (0, 0))


def test_collected_by_whoever_trains() -> None:
    """From the derivatives of the mean loss of a training step, times the batch's size."""
    network, weights = _net()
    flow = wiring(network, SHAPE)
    sites = sites_of(granularity_of(network, "channels"), flow)
    run = gated(network, sites.sites).train()
    total = {name: torch.zeros(size).double() for name, size in sites.sizes.items()}
    for x, y in examples(*SIZES).loaded:
        gates = gates_of_examples(sites, {}, len(y), x)
        for gate in gates.values():
            gate.requires_grad_()
        given = {name: value.clone() for name, value in weights.items()}
        loss = cross_entropy(functional_call(run, given | gates, (x,)), y)
        slopes = torch.autograd.grad(loss, list(gates.values()))
        ofone = {name: s * len(y) for name, s in zip(gates, slopes, strict=True)}
        for name, added in information(unit_sums(sites, gates, ofone)).items():
            total[name] += added.detach()
    expected = _slow(network, training=True)
    for name, values in expected.items():
        torch.testing.assert_close(total[name] / sum(SIZES), values, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("name", "coupling", "sites"),
    [
        ("pre_activation", "inner", [f"blocks.{n}.relu_1" for n in range(3)]),
        (
            "pre_activation",
            "grouped",
            [*(f"blocks.{n}.{relu}" for n in range(3) for relu in ("relu", "relu_1")), "relu"],
        ),
        ("option_b", "inner", ["blocks.0.relu", "blocks.1.relu", "blocks.2.relu"]),
        ("chain", "grouped", ["body.1", "body.4", "tanh"]),
        ("dense", "grouped", ["relu", "relu_1", "narrow.2", "relu_2"]),
        ("dense", "inner", ["narrow.2"]),
    ],
)
def test_sites_of_channels(name: str, coupling: str, sites: list[str]) -> None:
    """Activations that the channels pass; of a residual stream all of them, and no sums."""
    network, _ = made(name)
    flow = wiring(network, SHAPE)
    found = sites_of(granularity_of(network, "channels", coupling=coupling), flow)
    assert [site.name for site in found.sites] == sites
    assert {*found.rows.tolist()} == {*range(sum(found.sizes.values()))}


def test_a_sum_serves_where_there_is_no_activation() -> None:
    """The linear stream of an inverted residual network has an activation behind its stem alone."""
    network, _ = made("depthwise")
    flow = wiring(network, SHAPE)
    found = sites_of(granularity_of(network, "channels"), flow)
    assert {*found.rows.tolist()} == {*range(sum(found.sizes.values()))}


def test_channels_without_activations() -> None:
    """A layer that is cut without what it is added to passes none."""
    network, weights = made("option_b")
    with pytest.raises(UserError, match=r"blocks\.0\.conv2 pass no activation"):
        _scores(network, weights, coupling="independent")
    with pytest.raises(UserError, match="not kernels"):
        pruned(network, weights, strategy="fisher_activations", granularity="kernels")


def test_independent_channels() -> None:
    """Those that nothing is added to have what is behind them: as ``inner`` ones."""
    network, weights = made("option_b")
    ignored = ("blocks.1.shortcut", *(f"blocks.{n}.conv2" for n in range(3)))
    settings: dict[str, Any] = {"strategy": "fisher_activations", "layers_to_ignore": ignored}
    chosen = granularity_of(network, "channels", coupling="independent", layers_to_ignore=ignored)
    flow = wiring(network, SHAPE)
    names = [site.name for site in sites_of(chosen, flow).sites]
    assert names == ["relu", "blocks.0.relu", "blocks.1.relu", "blocks.2.relu"]
    report = pruned(
        network,
        weights,
        granularity="channels",
        coupling="independent",
        prune_fraction=0.5,
        **settings,
    ).report
    assert report["reached"] == round((4 + 4 + 7 + 7) / 2)
