"""A compacted network computes what the masked network does, in float64, whatever the mask."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from foundations.errors import UserError
from models.build import prunable
from pruning.compaction.compact import compacted, parameters
from pruning.mask import Mask
from tests.models.graphs import NETWORKS, SHAPE
from tests.pruning.compaction.cases import MASKS, Shape, assert_same, images, lively, random_mask

IMAGE: Shape = (3, 32, 32)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", NETWORKS)
def test_of_every_way_that_channels_go(name: str, kind: str) -> None:
    """Small networks under masks of every kind."""
    network = lively(NETWORKS[name]())
    small = assert_same(network, SHAPE, MASKS[kind](network, SHAPE))
    assert parameters(small) <= parameters(network)


@pytest.mark.parametrize("density", [0.5, 0.2, 0.1, 0.05])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["option_a", "dense", "depthwise", "repeated"])
def test_of_random_masks(name: str, seed: int, density: float) -> None:
    """Of several draws, norms' scales and shifts among what is cut."""
    network = lively(NETWORKS[name]())
    norms = [n for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    vectors = {f"{n}.{part}": torch.ones(8) for n in norms for part in ("weight", "bias")}
    drawn = {key: torch.rand_like(network.get_parameter(key)) < 0.7 for key in sorted(vectors)}
    assert_same(network, SHAPE, Mask({**random_mask(network, density, seed), **drawn}))


def _transformer() -> nn.Module:
    made: nn.Module = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)
    return made


def _shifted_windows() -> nn.Module:
    made: nn.Module = torchvision.models.SwinTransformer(
        [4, 4], 16, [1, 1], [2, 4], [4, 4], num_classes=5
    )
    return made


@pytest.mark.parametrize("make", [_transformer, _shifted_windows])
@pytest.mark.parametrize("kind", ["random_0.02", "inner", "independent", "gates", "nothing"])
def test_of_what_is_not_followed(make: type[nn.Module], kind: str) -> None:
    """Attention and norms over channels get all channels, dead ones as the constants they are."""
    network = lively(make())
    small = assert_same(network, IMAGE, MASKS[kind](network, IMAGE))
    assert kind == "gates" or parameters(small) < parameters(network)


def _padded(padding: int, *, norm: bool) -> nn.Module:
    body = [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 2, 3, padding=padding, bias=not norm),
        nn.BatchNorm2d(2) if norm else nn.Identity(),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 2),
    ]
    return lively(nn.Sequential(*body))


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("padding", [0, 1])
def test_constants_go_into_what_reads_them(padding: int, *, norm: bool) -> None:
    """A cut filter whose bias lives on: a bias or a norm's mean takes it up, else a buffer."""
    network = _padded(padding, norm=norm)
    rows = torch.tensor([True, False, True, False])
    with torch.no_grad():
        network.get_parameter("0.bias").abs_()
    kept = rows[:, None, None, None].expand(4, 3, 3, 3)
    small = assert_same(network, SHAPE, Mask({"0.weight": kept}))
    gone = 2 * (27 + 1) + 2 * 2 * 9
    assert parameters(network) - parameters(small) == gone
    extra = [name for name in dict(small.named_buffers()) if name.startswith("held")]
    assert len(extra) == padding


def test_everything_cut_leaves_the_logits_that_biases_make() -> None:
    """No parameters; and as many rows as there are images, none too."""
    network = lively(NETWORKS["option_b"]())
    small = assert_same(network, SHAPE, MASKS["nothing"](network, SHAPE))
    assert parameters(small) == 0
    for count in (0, 1, 5):
        assert small(images(SHAPE, 5)[:count]).shape == (count, 4)


def test_weights_of_another_type_and_the_network_itself_stay_as_they_are() -> None:
    """The smaller network is of the type of the weights, in evaluation mode, and copies."""
    network = lively(NETWORKS["chain"]()).float().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    other = {name: tensor * 2 for name, tensor in before.items()}
    small = compacted(network, SHAPE, other, random_mask(network, 0.3))
    assert {tensor.dtype for tensor in small.state_dict().values()} <= {torch.float32, torch.int64}
    assert not small.training
    assert network.training
    for parameter in small.parameters():
        parameter.data.zero_()
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)
    assert all(torch.equal(other[name], before[name] * 2) for name in before)


def test_float32_is_the_same_to_rounding() -> None:
    """Of a network whose constants are in biases, means and buffers."""
    network = lively(NETWORKS["option_b"]()).float()
    mask = random_mask(network, 0.1)
    small = compacted(network, SHAPE, network.state_dict(), mask)
    x = images(SHAPE).float()
    expected = torch.func.functional_call(network, mask.apply(network.state_dict()), (x,))
    torch.testing.assert_close(small(x), expected, rtol=1e-5, atol=1e-5)


def test_it_can_be_trained_and_exported() -> None:
    """Gradients reach every parameter; torch.export takes any number of images."""
    network = lively(NETWORKS["option_b"]()).float()
    small = compacted(network, SHAPE, network.state_dict(), random_mask(network, 0.3))
    x = images(SHAPE, 4).float()
    small.train()(x).square().sum().backward()
    assert all(parameter.grad is not None for parameter in small.parameters())
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(small.eval(), (x,), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(program.module()(x[:3]), small(x[:3]))


class _Steps(nn.Module):
    """A linear layer on sequences, behind a layer that is cut, before a norm of places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 6, bias=False)
        self.norm, self.fc = nn.BatchNorm1d(4), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.linear(self.conv(x).flatten(2).transpose(1, 2))
        out: Tensor = self.fc(self.norm(x).relu().mean(1))
        return out


def test_a_norm_of_something_else_takes_up_no_constants() -> None:
    """Those of a layer along other dimensions are its bias."""
    network = lively(_Steps())
    rows = torch.tensor([True, False, True, True])[:, None, None, None].expand(4, 3, 4, 4)
    small = assert_same(network, SHAPE, Mask({"conv.weight": rows}))
    assert small.get_parameter("linear.weight").shape == (6, 3)


class _Mixed(nn.Module):
    """A gate where places of images are in the batch's dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear, self.fc = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.conv(x).flatten(2).transpose(1, 2)
        x = self.linear(x.reshape(-1, 4)).relu()
        out: Tensor = self.fc(x.reshape(-1, 4, 6).mean(1))
        return out


def test_gates_of_what_is_not_followed() -> None:
    """They stay multipliers there."""
    network = lively(_Mixed())
    gate = torch.tensor([True, False, True, False, True, True])
    small = assert_same(network, SHAPE, Mask({"gate:relu": gate}))
    assert [1, 0, 1, 0, 1, 1] in [held.flatten().tolist() for held in small.buffers()]


class _InPlace(nn.Module):
    """Overwrites what it reads, squares, and scales by numbers that it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.other = nn.Conv2d(3, 5, 3), nn.Conv2d(3, 5, 3)
        self.fc = nn.Linear(180, 3)
        self.scale = nn.Parameter(torch.ones(5, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        y = self.conv(x)
        y.add_(self.other(x))
        y += 0.5
        y = y.relu_() * self.scale
        out: Tensor = self.fc((y * y).reshape(-1, 180))
        return out


def test_operations_in_place_and_sizes_in_the_code() -> None:
    """They are done out of place, and a flattening is one however it is written."""
    network = lively(_InPlace())
    rows = torch.tensor([[True, False, True, True, False], [False, True, True, True, False]])
    one, other = rows[:, :, None, None, None].expand(2, 5, 3, 3, 3)
    small = assert_same(network, SHAPE, Mask({"conv.weight": one, "other.weight": other}))
    assert small.get_parameter("fc.weight").shape == (3, 4 * 36)


def test_masks_and_weights_of_other_networks_are_refused() -> None:
    """With what does not fit."""
    network, other = NETWORKS["chain"](), NETWORKS["dense"]()
    mask = Mask({name: torch.ones_like(other.get_parameter(name)) > 0 for name in prunable(other)})
    with pytest.raises(UserError, match="another network"):
        compacted(network, SHAPE, network.state_dict(), mask)
    with pytest.raises(UserError, match=r"of another network: 'fc\.weight'"):
        compacted(network, SHAPE, {"fc.weight": torch.ones(2, 2)}, None)
