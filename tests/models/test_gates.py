"""Gates of ones change nothing; a gate of zero silences its channel, and no other."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from foundations.errors import UserError
from models.gates import buffer_name, gate_name, gate_tensors, gated
from models.wiring import wiring
from tests.models.graphs import NETWORKS, SHAPE, Basic, Chain, Residual, drawn, images

if TYPE_CHECKING:
    from tests.models.conftest import Make

SITES = {
    "chain": ["body.1", "body.4", "tanh"],
    "option_b": ["relu", *(f"blocks.{n}.{relu}" for n in range(3) for relu in ("relu", "relu_1"))],
    "pre_activation": [
        *(f"blocks.{n}.{what}" for n in range(3) for what in ("relu", "relu_1", "add")),
        "relu",
    ],
    "depthwise": ["relu6", "relu6_1", "silu", "silu_1", "sigmoid", "add"],
}


def _gated(network: nn.Module) -> nn.Module:
    return gated(network, wiring(network, SHAPE).sites.values())


def _masks(network: nn.Module) -> dict[str, Tensor]:
    """Every third unit cut, by the names of gates."""
    sites = wiring(network, SHAPE).sites.values()
    return {gate_name(site.name): torch.arange(site.width) % 3 != 1 for site in sites}


def _chain(network: Chain, masks: list[Tensor], x: Tensor) -> Tensor:
    """The network in evaluation mode, masks after its activations, written by hand."""
    one, two, three = masks
    first, second = (cast("nn.Conv2d", network.body[n]) for n in (0, 3))
    x = first(x)
    x = functional.max_pool2d(x.relu() * one[:, None, None], 2)
    x = second(x)
    x = functional.adaptive_avg_pool2d(functional.gelu(x) * two[:, None, None], 2).flatten(1)
    x = 1.7159 * torch.tanh(network.hidden(x) * 0.6666) * three
    return cast("Tensor", network.fc(x))


def _residual(network: Residual, masks: list[Tensor], x: Tensor) -> Tensor:
    """As above: masks after the ReLU within a block, and after the one behind its sum."""
    parts = [mask[:, None, None] for mask in masks]
    x = network.bn(network.conv(x)).relu() * parts[0]
    for n, block in enumerate(cast("list[Basic]", list(network.blocks))):
        y = block.bn1(block.conv1(x)).relu() * parts[2 * n + 1]
        y = block.bn2(block.conv2(y)) + block.shortcut(x)
        x = y.relu() * parts[2 * n + 2]
    return cast("Tensor", network.fc(x.mean((2, 3))))


@pytest.mark.parametrize("name", SITES)
def test_sites(name: str) -> None:
    """They are named after their module and the operation, in order; logits have none."""
    assert list(wiring(NETWORKS[name](), SHAPE).sites) == SITES[name]


def test_sites_of_the_networks_here(make: Make) -> None:
    """One after each hidden layer; two a block, and the stem's."""
    lenet = wiring(make("mnist_lenet_9_7"), (1, 28, 28)).sites
    assert [(site.name, site.width) for site in lenet.values()] == [("relu", 9), ("relu_1", 7)]
    resnet = wiring(make("cifar_resnet_20"), (3, 32, 32)).sites
    assert len(resnet) == 19
    assert sum(site.width for site in resnet.values()) == 688
    assert {site.kind for site in resnet.values()} == {"activation"}


def test_sums_that_more_than_an_activation_reads_have_sites() -> None:
    """And say that they are sums."""
    sites = wiring(NETWORKS["depthwise"](), SHAPE).sites
    assert [name for name, site in sites.items() if site.kind == "sum"] == ["add"]


@pytest.mark.parametrize("name", NETWORKS)
def test_gates_of_ones_change_nothing(name: str) -> None:
    """Neither outputs, nor names, nor tensors; nor the network itself."""
    network = drawn(NETWORKS[name]())
    state = dict(network.state_dict())
    closed = _gated(network)
    assert torch.equal(closed(images(3)), network(images(3)))
    assert list(closed.state_dict()) == list(network.state_dict()) == list(state)
    assert dict(closed.named_parameters()).keys() == dict(network.named_parameters()).keys()
    assert all(a is b for a, b in zip(closed.parameters(), network.parameters(), strict=True))
    assert not hasattr(network, "gates")


@pytest.mark.parametrize("name", ["chain", "option_b"])
def test_pruned_gates_are_masks_on_activations(name: str) -> None:
    """As the granularity paper's, written by hand."""
    network = drawn(NETWORKS[name]())
    masks, x = _masks(network), images(4)
    state = dict(network.state_dict()) | gate_tensors(masks, torch.float64)
    out = functional_call(_gated(network), state, (x,), strict=True)
    by_hand = _chain if isinstance(network, Chain) else _residual
    expected = by_hand(network, list(masks.values()), x)  # type: ignore[arg-type]
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(out, network(x))


def test_gates_of_a_mask_by_the_names_of_buffers() -> None:
    """Weights of the mask are left out."""
    mask = {"gate:blocks.0.relu": torch.tensor([True, False]), "fc.weight": torch.ones(1) > 0}
    assert {name: gate.tolist() for name, gate in gate_tensors(mask).items()} == {
        "gates.blocks/0/relu": [1.0, 0.0]
    }
    assert buffer_name("blocks.0.relu") == buffer_name("gate:blocks.0.relu")


@pytest.mark.parametrize("name", ["chain", "option_b", "dense"])
def test_gradients_of_each_example(name: str) -> None:
    """Gates of (batch, width) have the gradients that one example after another gives."""
    network = drawn(NETWORKS[name]())
    closed, state, x = _gated(network), dict(network.state_dict()), images(3)
    ones = dict(closed.named_buffers())
    ones = {name: gate for name, gate in ones.items() if name.startswith("gates.")}

    def score(gates: dict[str, Tensor], x: Tensor) -> Tensor:
        return cast("Tensor", functional_call(closed, state | gates, (x,)).square().sum())

    together = grad(score)({name: gate.repeat(3, 1) for name, gate in ones.items()}, x)
    each = [grad(score)(ones, x[n : n + 1]) for n in range(3)]
    for gate, slopes in together.items():
        torch.testing.assert_close(slopes, torch.stack([one[gate] for one in each]))
    mapped = vmap(grad(score), (None, 0))(ones, x[:, None])
    torch.testing.assert_close(mapped, together)


def test_training_and_evaluation() -> None:
    """Dropout by the network's own mode drops in training alone, before and after gating."""
    network = drawn(Chain())
    closed, x = _gated(network), images(4)
    assert not closed.training
    closed.train()
    assert not network.training
    torch.manual_seed(3)
    dropped = closed(x)
    network.train()
    torch.manual_seed(3)
    torch.testing.assert_close(dropped, network(x), rtol=0, atol=0)
    assert not torch.equal(dropped, closed.eval()(x))
    torch.testing.assert_close(closed(x), network.eval()(x), rtol=0, atol=0)


def test_batch_norms_take_the_statistics_of_the_batch_in_training() -> None:
    """And move the buffers of a functional call, as the network's own do."""
    network = drawn(NETWORKS["option_b"]())
    states = [{k: v.clone() for k, v in network.state_dict().items()} for _ in range(2)]
    for run, state in zip((network.train(), _gated(network).train()), states, strict=True):
        functional_call(run, state, (images(4),))
    torch.testing.assert_close(states[0], states[1])
    assert states[0]["bn.num_batches_tracked"] == 2


def test_a_mode_of_one_module_is_kept() -> None:
    """A norm that is frozen in a network in training."""
    network = NETWORKS["option_b"]().train()
    network.get_submodule("bn").eval()
    closed = _gated(network)
    modes = {name: module.training for name, module in network.named_modules()}
    mine = {name: module.training for name, module in closed.named_modules()}
    assert {name: mine[name] for name in modes} == modes
    assert [name for name, mode in modes.items() if not mode] == ["bn"]


def test_a_part_that_is_not_run_stays_in_the_state() -> None:
    """A second head, and a buffer of the network itself."""
    network = NETWORKS["dense"]()
    network.add_module("other", nn.Linear(2, 2))
    network.register_buffer("count", torch.zeros(1))
    network.register_buffer("hidden", torch.zeros(1), persistent=False)
    assert list(_gated(network).state_dict()) == list(network.state_dict())


def test_a_copy_of_a_gated_network_is_whole() -> None:
    """It runs on its own gates."""
    closed = _gated(drawn(NETWORKS["dense"]()))
    twin = copy.deepcopy(closed)
    twin.get_buffer("gates.relu").zero_()
    assert torch.equal(twin(images(2)), twin(images(2)))
    assert not torch.equal(twin(images(2)), closed(images(2)))


def test_a_gated_network_compiles() -> None:
    """In one graph."""
    closed, x = _gated(NETWORKS["option_b"]().eval()), torch.ones(2, *SHAPE)
    compiled = torch.compile(closed, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), closed(x))


class _InPlace(nn.Module):
    """Reads what a ReLU overwrote."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 2, 8), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = cast("Tensor", self.conv(x)).flatten(1)
        y.relu_()
        return cast("Tensor", self.fc(y))


def test_a_gate_after_an_activation_in_place() -> None:
    """Whoever reads the tensor that was overwritten reads what the gate lets through."""
    network = drawn(_InPlace())
    closed, x = _gated(network), images(8)
    assert torch.equal(closed(x), network(x))
    closed.get_buffer("gates.relu").zero_()
    assert torch.equal(closed(x), network.get_parameter("fc.bias").expand(8, 2))


class _Shifted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 8)

    def forward(self, x: Tensor) -> Tensor:
        return (cast("Tensor", self.conv(x)) + torch.tensor(2.0)).relu().flatten(1).log_softmax(1)


def test_numbers_that_the_network_makes_itself() -> None:
    """A tensor made when the network runs becomes part of the graph, not of the state."""
    network = _Shifted()
    closed, x = _gated(network), torch.ones(2, *SHAPE)
    assert torch.equal(closed(x), network(x))
    assert list(closed.state_dict()) == list(network.state_dict())


class _TwoWays(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = cast("Tensor", self.conv(x)).relu()
        return (y + y.tanh() if self.training else y).flatten(1)


def test_what_cannot_be_gated() -> None:
    """Other operations in training; a site of another network; a part named as the gates are."""
    with pytest.raises(UserError, match="other operations in training"):
        gated(_TwoWays(), ())
    network = NETWORKS["option_b"]()
    network.add_module("gates", nn.Identity())
    with pytest.raises(UserError, match="has a part 'gates'"):
        gated(network, ())
    sites = wiring(NETWORKS["depthwise"](), SHAPE).sites.values()
    with pytest.raises(UserError, match="no place for a gate 'relu6'"):
        gated(NETWORKS["chain"](), sites)


@pytest.mark.parametrize("inplace", [False, True])
def test_taps_give_what_is_behind_the_gates(inplace: bool) -> None:  # noqa: FBT001 - a parameter
    """In the order asked for, before anything overwrites it; the rest is not run."""
    body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(inplace=inplace), nn.Linear(4, 4))
    network = nn.Sequential(nn.Flatten(), *body, nn.ReLU(inplace=inplace), nn.Linear(4, 2)).eval()
    sites = list(wiring(network, (3, 1, 1)).sites.values())
    tapped = gated(network, sites[:1], taps=sites[::-1])
    kept = torch.tensor([1.0, 0.0, 1.0, 0.0])
    tapped.get_buffer(buffer_name(gate_name(sites[0].name))).copy_(kept)
    network[6].register_forward_hook(lambda *_: pytest.fail("the output layer was run"))
    x = torch.randn(5, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    last, first = tapped(x)
    expected = network[1](x.flatten(1)).relu() * kept
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(last, network[4](expected).relu())
