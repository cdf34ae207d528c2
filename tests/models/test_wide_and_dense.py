"""WideResNets and DenseNets, against other computations; and which names they have."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from foundations.draws import generator
from foundations.errors import UserError
from models import find
from models.cifar_wide_resnet import Block
from models.declarations.widths import dense, is_dense, is_wide, wide
from models.presets import preset
from tests.models.conftest import on_meta
from tests.models.graphs import drawn, images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.models.conftest import Make

SHAPE = (3, 16, 16)


def _active(x: Tensor, norm: nn.Module) -> Tensor:
    """After norm and ReLU; statistics are fresh, a mean of 0 and a variance of 1."""
    scale, shift = (part.detach().reshape(-1, 1, 1) for part in norm.parameters())
    normed: Tensor = x / (1 + 1e-5) ** 0.5 * scale + shift
    return normed.clamp(min=0)


@pytest.mark.parametrize(("outputs", "stride"), [(5, 2), (5, 1), (3, 1)])
def test_a_wide_block(outputs: int, stride: int) -> None:
    """A projection reads the activated input; without one, the input is added as it is."""
    block = Block(3, 4, outputs, stride).double().eval()
    for name, parameter in block.named_parameters():
        parameter.data.normal_(generator=generator(3, name))
    x = images(2, SHAPE)
    active = _active(x, block.bn1)
    y = functional.conv2d(active, block.conv1.weight, stride=stride, padding=1)
    y = functional.conv2d(_active(y, block.bn2), block.conv2.weight, padding=1)
    weights = dict(block.named_parameters())
    assert ("shortcut.weight" in weights) == (outputs != 3)
    way = x if outputs == 3 else functional.conv2d(active, weights["shortcut.weight"], None, stride)
    torch.testing.assert_close(block(x), y + way)


@pytest.mark.parametrize(
    ("name", "outputs", "inner"),
    [
        ("cifar_wide_resnet_10_2", [32, 64, 128], [32, 64, 128]),
        ("cifar_wide_resnet_10_0.3", [4, 9, 19], [4, 9, 19]),
        ("cifar_wide_resnet_10_2_bottle_0.3", [32, 64, 128], [9, 19, 38]),
        ("cifar_wide_resnet_10_1_bottle_1.5", [16, 32, 64], [24, 48, 96]),
    ],
)
def test_wide_channels(name: str, outputs: list[int], inner: list[int]) -> None:
    """K and Z times as many, rounded down; the stem has 16."""
    parameters = dict(on_meta(name).named_parameters())
    assert parameters["conv.weight"].shape[0] == 16
    for which, widths in (("conv1", inner), ("conv2", outputs)):
        assert [parameters[f"blocks.{n}.{which}.weight"].shape[0] for n in range(3)] == widths


def test_dropout(make: Make) -> None:
    """A block drops three in ten values; in evaluation the network is that without."""
    plain, dropping = (make(f"cifar_wide_resnet_10_0.25{s}") for s in ("", "_dropout"))
    x = images(2, SHAPE).float()
    assert torch.equal(plain.eval()(x), dropping.eval()(x))
    rates = [m.p for m in dropping.modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.3] * 3
    assert not torch.equal(plain.train()(x), dropping.train()(x))


def _of_torchvision(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights by torchvision's names."""
    theirs = {}
    for name, value in ours.items():
        new = name.replace("conv.", "features.conv0.", 1) if name.startswith("conv.") else name
        new = re.sub(r"^bn\.", "features.norm5.", new).replace("fc.", "classifier.")
        found = re.match(r"blocks\.(\d)\.(\d+)\.(bn|conv)s\.(\d)\.(.*)", new)
        if found:
            block, layer, kind, at, rest = found.groups()
            kind = {"bn": "norm"}.get(kind, kind)
            place = f"features.denseblock{int(block) + 1}.denselayer{int(layer) + 1}"
            new = f"{place}.{kind}{int(at) + 1}.{rest}"
        found = re.match(r"transitions\.(\d)\.(bn|conv)\.(.*)", new)
        if found:
            new = f"features.transition{int(found[1]) + 1}."
            new += f"{'norm' if found[2] == 'bn' else 'conv'}.{found[3]}"
        theirs[new] = value
    return theirs


def test_a_densenet_is_torchvisions_behind_another_stem(make: Make) -> None:
    """With the same weights the logits are equal, in training mode too."""
    network = drawn(make("cifar_densenet_bc_22_5", shape=SHAPE), SHAPE)
    other = torchvision.models.DenseNet(5, (3, 3, 3), 2 * 5, num_classes=10).double()
    other.features.conv0 = nn.Conv2d(3, 10, 3, padding=1, bias=False)
    for part in ("norm0", "relu0", "pool0"):
        setattr(other.features, part, nn.Identity())
    other.double().load_state_dict(_of_torchvision(network.state_dict()))
    x = images(3, SHAPE)
    for training in (False, True):
        one, two = (each.train(training)(x) for each in (network, other))
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize(
    ("name", "inner", "compressed"),
    [
        ("cifar_densenet_bc_10_12", 48, [18, 15]),
        ("cifar_densenet_bc_10_12_transition_1", 48, [36, 48]),
        ("cifar_densenet_bc_10_12_transition_0.3_bottle_0.3", 14, [10, 6]),
        ("cifar_densenet_10_12", None, [48, 72]),
        ("cifar_densenet_10_12_transition_0.5", None, [24, 24]),
    ],
)
def test_dense_channels(name: str, inner: int | None, compressed: list[int]) -> None:
    """A layer adds 12, of a bottleneck of Z times 48; transitions leave a part, rounded down."""
    parameters = dict(on_meta(name).named_parameters())
    assert parameters["conv.weight"].shape[0] == 24
    assert [parameters[f"transitions.{n}.conv.weight"].shape[0] for n in (0, 1)] == compressed
    last = parameters.get("blocks.2.0.convs.1.weight", parameters["blocks.2.0.convs.0.weight"])
    first = None if inner is None else parameters["blocks.2.0.convs.0.weight"].shape[0]
    assert (last.shape[0], last.shape[2], first) == (12, 3, inner)


@pytest.mark.parametrize("name", ["cifar_wide_resnet_10_2", "cifar_densenet_bc_10_12"])
def test_they_begin_as_published(make: Make, name: str) -> None:
    """Convolutions have variance 2 / (area x outputs), norms are 1 and 0, logits have no bias."""
    flags: dict[str, Any] = dict(preset(name))
    network = make(name, **{key: flags[key] for key in ("model_init", "batchnorm_init")})
    for conv in (m for m in network.modules() if isinstance(m, nn.Conv2d)):
        expected = (2 / (conv.kernel_size[0] ** 2 * conv.out_channels)) ** 0.5
        assert conv.weight.std().item() == pytest.approx(
            expected, rel=5 / conv.weight.numel() ** 0.5
        )
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.weight.eq(1).all() and norm.bias.eq(0).all() for norm in norms)
    assert network.get_parameter("fc.bias").eq(0).all()


@pytest.mark.parametrize(
    "name",
    [
        "cifar_wide_resnet_40",
        "cifar_wide_resnet_41_2",
        "cifar_wide_resnet_4_2",
        "cifar_wide_resnet_40_0",
        "cifar_wide_resnet_40_2.0",
        "cifar_wide_resnet_40_02",
        "cifar_wide_resnet_40_.5",
        "cifar_wide_resnet_40_2.01",
        "cifar_wide_resnet_40_0.01",
        "cifar_wide_resnet_40_2_bottle_1",
        "cifar_wide_resnet_40_2_bottle_0",
        "cifar_wide_resnet_40_2_bottle_0.50",
        "cifar_wide_resnet_40_2_bottle_0.505",
        "cifar_wide_resnet_40_2_bottle_0.03",
        "cifar_wide_resnet_40_2_bottle_0.5_dropout",
        "cifar_wide_resnet_40_2.0_dropout",
        "cifar_densenet_41_12",
        "cifar_densenet_4_12",
        "cifar_densenet_40_0",
        "cifar_densenet_40_12_transition_1",
        "cifar_densenet_40_12_transition_2",
        "cifar_densenet_40_12_bottle_0.5",
        "cifar_densenet_bc_43_12",
        "cifar_densenet_bc_4_12",
        "cifar_densenet_bc_40_12_transition_0.5",
        "cifar_densenet_bc_40_12_transition_1.5",
        "cifar_densenet_bc_40_12_transition_0.001",
        "cifar_densenet_bc_40_12_bottle_1",
        "cifar_densenet_bc_40_12_bottle_0.01",
        "cifar_densenet_bc_40_12_bottle_0.5_transition_1",
    ],
)
def test_names_that_are_none(name: str) -> None:
    """Impossible sizes, numbers that another spelling has, and parts in another order."""
    with pytest.raises(UserError, match=f"There is no model '{re.escape(name)}'"):
        find(name)


def _decimal(thousandths: int) -> str:
    """Without superfluous zeros."""
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")


def test_every_wide_network_has_one_name() -> None:
    """Of all widths, and of all multipliers, that give the same channels."""
    widths = [{"depth": "10", "width": _decimal(10 * n)} for n in range(7, 300)]
    inner = [{"depth": "10", "width": "3", "bottle": _decimal(n)} for n in range(21, 1500)]
    for some in (widths, [{"depth": "10", "width": "3"}, *inner]):
        there = {wide(arguments) for arguments in some}
        names = Counter(wide(arguments) for arguments in some if is_wide(arguments))
        assert names == dict.fromkeys(there, 1)
    assert is_wide({"depth": "10", "width": "1.3"})


def test_every_dense_network_has_one_name() -> None:
    """Of all transition rates, and of all multipliers, that give the same channels."""
    size = {"bottleneck": "bc", "depth": "22", "growth": "7"}
    rates = [size, *(size | {"transition": _decimal(n)} for n in range(46, 1001))]
    inner = [size, *(size | {"bottle": _decimal(n)} for n in range(36, 1500))]
    for some in (rates, inner):
        there = {dense(arguments) for arguments in some}
        names = Counter(dense(arguments) for arguments in some if is_dense(arguments))
        assert names == dict.fromkeys(there, 1)
