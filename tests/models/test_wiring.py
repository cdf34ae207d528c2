"""Channels that are found to be the same are, and cutting them leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from foundations.errors import UserError
from models.wiring import groups, silenced, wiring
from tests.models.graphs import CLASSES, NETWORKS, SHAPE, drawn, images

if TYPE_CHECKING:
    from models.wiring import Group, Wiring
    from tests.models.conftest import Make

TORCHVISION_SHAPE = PAPERS_SHAPE = (3, 32, 32)


def _without(network: nn.Module, wires: Wiring, group: Group) -> dict[str, Tensor]:
    """The network's tensors, where those that make the group's channels are zero."""
    tensors = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    cut = {name: np.zeros(len(made), dtype=bool) for name, made in wires.producers.items()}
    for layer, channel in group:
        cut[layer][channel] = True
    for name, gone in (cut | silenced(wires, cut)).items():
        for part in ("weight", "bias"):
            if f"{name}.{part}" in tensors:
                tensors[f"{name}.{part}"][torch.from_numpy(gone)] = 0
    return tensors


def _unread(network: nn.Module, tensors: dict[str, Tensor], x: Tensor) -> dict[str, Any]:
    """By layer: the columns of weights by which the output has a gradient of exactly 0."""
    layers = [n for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    weights = {f"{name}.weight": tensors[f"{name}.weight"].requires_grad_() for name in layers}
    out = torch.func.functional_call(network, tensors | weights, (x,))
    slopes = torch.autograd.grad(out.square().sum(), list(weights.values()))
    columns = [slope.transpose(0, 1).flatten(1).eq(0).all(1).numpy() for slope in slopes]
    return dict(zip(layers, columns, strict=True))


def _label(wires: Wiring, group: Group) -> int:
    layer, channel = group[0]
    return int(wires.producers[layer][channel])


@pytest.mark.parametrize("name", NETWORKS)
def test_columns_that_read_a_cut_group_are_dead_and_no_others(name: str) -> None:
    """For every group: exactly the columns of its label have no say any more."""
    network = drawn(NETWORKS[name]())
    wires, x = wiring(network, SHAPE), images(16)
    assert groups(wires, "grouped")
    for group in groups(wires, "grouped"):
        unread = _unread(network, _without(network, wires, group), x)
        for layer, labels in wires.consumers.items():
            if len(unread[layer]) == len(labels):  # not of a convolution in groups
                np.testing.assert_array_equal(unread[layer], labels == _label(wires, group), layer)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_dead_in_a_whole_network(name: str) -> None:
    """The control: with no group cut, every column has a gradient."""
    network = drawn(NETWORKS[name]())
    unread = _unread(network, _without(network, wiring(network, SHAPE), ()), images(16))
    assert not any(columns.any() for columns in unread.values())


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "densenet121", "mobilenet_v3_small"])
def test_networks_of_torchvision(name: str) -> None:
    """Their groups are dead too, if all are cut at once that come third in their layers."""
    network = getattr(torchvision.models, name)(weights=None, num_classes=CLASSES)
    network = drawn(network, TORCHVISION_SHAPE)
    wires = wiring(network, TORCHVISION_SHAPE)
    some = [group for group in groups(wires, "grouped") if group[0][1] == 2]
    together = tuple(pair for group in some for pair in group)
    tensors = _without(network, wires, together)
    unread = _unread(network, tensors, images(2, TORCHVISION_SHAPE))
    cut = [_label(wires, group) for group in some]
    assert len(some) > 10
    for layer, labels in wires.consumers.items():
        assert unread[layer][np.isin(labels, cut)].all(), layer
        assert not unread[layer].all(), layer


@pytest.mark.parametrize(
    "name",
    [
        "cifar_vgg_11_4_relu_bn",
        "cifar_mobilenet_4",
        "cifar_resnet_8_4_bottleneck",
        "cifar_imagenet_resnet_18_4",
        "gradient_flow_resnet_8",
        "cifar_wide_resnet_10_0.25",
        "cifar_wide_resnet_10_1_bottle_0.5",
        "cifar_densenet_10_3",
        "cifar_densenet_bc_10_8",
    ],
)
def test_networks_of_the_papers(make: Make, name: str) -> None:
    """Exactly the columns die that read the groups which come third in their layers."""
    network = drawn(make(name), PAPERS_SHAPE)
    wires = wiring(network, PAPERS_SHAPE)
    some = [group for group in groups(wires, "grouped") if group[0][1] == 2]
    tensors = _without(network, wires, tuple(pair for group in some for pair in group))
    unread = _unread(network, tensors, images(16, PAPERS_SHAPE))
    cut = [_label(wires, group) for group in some]
    assert len(some) >= 6
    for layer, labels in wires.consumers.items():
        np.testing.assert_array_equal(unread[layer], np.isin(labels, cut), layer)


def test_a_norm_after_the_activation_is_silenced_with_its_channel(make: Make) -> None:
    """The gate stands between the two, and the norm's shift does not bring a cut channel back."""
    network = drawn(make("cifar_vgg_11_4_relu_bn"), PAPERS_SHAPE)
    wires = wiring(network, PAPERS_SHAPE)
    cut = {"layers.0.conv": np.arange(4) == 1}
    silent = silenced(wires, cut)
    assert silent["layers.0.bn"].tolist() == [False, True, False, False]
    assert not any(gone.any() for name, gone in silent.items() if name != "layers.0.bn")
    assert next(iter(wires.sites)) == "layers.0.relu"
    network.load_state_dict(_without(network, wires, (("layers.0.conv", 1),)))
    found = network.get_submodule("layers.0")(images(8, PAPERS_SHAPE))
    assert found.flatten(2).eq(0).all(2).all(0).tolist() == [False, True, False, False]


def test_a_depthwise_convolution_carries_what_the_stem_makes(make: Make) -> None:
    """One label through stem, norm and depthwise convolution to the pointwise one."""
    wires = wiring(make("cifar_mobilenet_4"), PAPERS_SHAPE)
    made = wires.producers["conv"].tolist()
    assert wires.carriers["pairs.0.depthwise"].tolist() == made
    assert wires.consumers["pairs.0.pointwise"].tolist() == made
    assert list(wires.followers("conv")) == ["bn", "pairs.0.depthwise", "pairs.0.bn1"]
    assert not any("depthwise" in layer for layer in wires.producers)
    assert all(len(group) == 1 for group in groups(wires, "grouped"))


def test_a_flattening_repeats_labels() -> None:
    """VGG-16 of torchvision, whose classifier reads 7 x 7 positions of 512 channels."""
    with torch.device("meta"):
        network = torchvision.models.vgg16_bn(weights=None, init_weights=False)
    wires = wiring(network, (3, 224, 224))
    last = wires.producers["features.40"]
    np.testing.assert_array_equal(wires.consumers["classifier.0"], last.repeat(49))
    assert len(groups(wires, "inner")) == len(groups(wires, "grouped")) == 4224 + 2 * 4096


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "squeezenet1_1"])
def test_groups_are_those_of_torch_pruning(name: str) -> None:
    """An independent library ties the same layers, for the first two channels of each."""
    pruning = pytest.importorskip("torch_pruning")
    network = getattr(torchvision.models, name)(weights=None, num_classes=CLASSES).eval()
    wires = wiring(network, (3, 64, 64))
    ours = {frozenset(group) for group in groups(wires, "grouped")}
    known = pruning.DependencyGraph().build_dependency(network, torch.randn(1, 3, 64, 64))
    names = {module: name for name, module in network.named_modules()}
    cuts = (pruning.prune_conv_out_channels, pruning.prune_linear_out_channels)
    layers = [n for n, made in wires.producers.items() if not set(made) & wires.protected]
    for layer, channel in ((layer, channel) for layer in layers for channel in (0, 1)):
        found = known.get_pruning_group(network.get_submodule(layer), cuts[0], [channel])
        theirs = frozenset(
            (names[dep.target.module], index)
            for dep, indices in found
            if dep.handler in cuts and names.get(dep.target.module) in wires.producers
            for index in indices
        )
        assert theirs in ours


def test_shortcuts_of_zeros_and_slices() -> None:
    """Option A: channels that pass the padding are one with those before it, the new ones not."""
    wires = wiring(NETWORKS["option_a"](), SHAPE)
    stem, wide = wires.producers["conv"], wires.producers["blocks.1.conv2"]
    np.testing.assert_array_equal(wide[1:5], stem)
    assert len(set(wide)) == 7
    np.testing.assert_array_equal(wires.producers["blocks.2.conv2"], wide)


@pytest.mark.parametrize(
    ("name", "inner", "grouped", "independent"),
    [
        ("cifar_resnet_20", 3 * (16 + 32 + 64), 448, 784),
        ("cifar_vgg_16", 4224, 4224, 4224),
        ("cifar_vgg_13_relu_bn", 2944, 2944, 2944),
        ("gradient_flow_resnet_56", 9 * 112, 9 * 112 + 112, 2128),
        ("cifar_imagenet_resnet_18", 2 * 960, 3 * 960, 4800),
        ("cifar_mobilenet", 5984, 5984, 5984),
        ("mnist_lenet_300_100", 400, 400, 400),
        ("cifar_wide_resnet_40_2", 1344, 1344 + 16 + 224, 2928),
        ("cifar_densenet_bc_100_12", 2304, 3162, 3162),
        ("cifar_densenet_40_12", 0, 24 + 36 * 12 + 168 + 312, 936),
        ("cifar_preresnet_164", 2 * 18 * 112, 2 * 18 * 112 + 16 + 448, 12560),
    ],
)
def test_how_many_groups(make: Make, name: str, inner: int, grouped: int, independent: int) -> None:
    """Of ResNet-20, inner channels are those between the two convolutions of a block."""
    network = make(name)
    wires = wiring(network, (1, 28, 28) if "mnist" in name else (3, 32, 32))
    assert len(groups(wires, "inner")) == inner
    assert len(groups(wires, "grouped")) == grouped
    assert len(groups(wires, "independent")) == independent
    assert all(len(group) == 1 for group in groups(wires, "inner"))
    assert sum(len(group) for group in groups(wires, "grouped")) == independent


def test_groups_of_a_stage(make: Make) -> None:
    """The stem's channel 1 goes with the second convolution of each block of the first stage."""
    wires = wiring(make("cifar_resnet_14_4"), (3, 32, 32))
    assert groups(wires, "grouped")[1] == (
        ("conv", 1),
        ("blocks.0.conv2", 1),
        ("blocks.1.conv2", 1),
    )


def test_the_image_and_the_output_are_not_cut(make: Make) -> None:
    """The image's channels are constants, the logits are protected."""
    wires = wiring(make("cifar_resnet_8_4"), (3, 32, 32))
    assert wires.consumers["conv"].tolist() == [-1, -1, -1]
    assert wires.protected == wires.outputs == set(wires.producers["fc"].tolist())
    assert not any(layer == "fc" for group in groups(wires, "independent") for layer, _ in group)


def test_shapes_and_positions() -> None:
    """A layer that is run twice is applied at twice as many places."""
    wires = wiring(NETWORKS["repeated"](), SHAPE)
    assert wires.shapes["twice"] == (6, 8, 8)
    assert wires.positions == {"stem": 64, "twice": 128, "part": 64, "hidden": 1, "fc": 1}


def test_followers() -> None:
    """Norms behind a sum follow none of what is added; positions in a concatenation are told."""
    wires = wiring(NETWORKS["pre_activation"](), SHAPE)
    assert list(wires.followers("blocks.1.conv1")) == ["blocks.1.bn2"]
    assert wires.followers("blocks.1.conv2") == {}
    assert list(wires.followers("conv")) == ["blocks.0.bn1"]
    dense = wiring(NETWORKS["dense"](), SHAPE).followers("layers.0")
    assert {name: found.tolist() for name, found in dense.items()} == {
        "norms.1": [-1, -1, -1, -1, 0, 1, 2],
        "norms.2": [-1, -1, -1, -1, 0, 1, 2, -1, -1, -1],
    }
    deep = wiring(NETWORKS["depthwise"](), SHAPE).followers("wide")
    assert list(deep) == ["bn1", "deep", "bn2"]
    with pytest.raises(UserError, match="deep"):
        wires.followers("deep")


def test_a_norm_behind_a_sum_is_silenced_with_all_that_is_added() -> None:
    """Cut in one of two layers, a channel of the sum goes on."""
    wires = wiring(NETWORKS["pre_activation"](), SHAPE)
    first = np.arange(5) == 0
    one = silenced(wires, {"blocks.0.conv2": first})
    both = silenced(wires, {"blocks.0.conv2": first, "blocks.0.project": first})
    assert not any(gone.any() for gone in one.values())
    assert [name for name, gone in both.items() if gone.any()] == ["blocks.1.bn1"]
    assert both["blocks.1.bn1"].tolist() == first.tolist()


def test_behind_a_sigmoid_nothing_is_silent() -> None:
    """The sigmoid of 0 is a half, which a norm behind it goes on shifting."""
    after = [nn.BatchNorm2d(2), nn.Sigmoid(), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 2)]
    wires = wiring(nn.Sequential(nn.Conv2d(3, 2, 3), *after), SHAPE)
    gone = silenced(wires, {"0": np.array([True, False])})
    assert {name: cut.tolist() for name, cut in gone.items()} == {
        "1": [True, False],
        "3": [False, False],
    }


def test_channels_around_convolutions_in_groups_are_protected() -> None:
    """But those of the layer that reads them are not."""
    wires = wiring(NETWORKS["grouped"](), SHAPE)
    around = {*wires.producers["stem"], *wires.producers["grouped"]}
    assert around <= wires.protected
    assert {layer for group in groups(wires, "grouped") for layer, _ in group} == {"last"}
    assert len(groups(wires, "independent")) == 4 + 6 + 3


def test_an_unknown_operation_at_the_end_makes_outputs() -> None:
    """The layer before a softmax is the output layer."""
    wires = wiring(nn.Sequential(nn.Flatten(), nn.Linear(192, 2), nn.Softmax(1)), SHAPE)
    assert groups(wires, "independent") == ()
    assert set(wires.producers["1"].tolist()) <= wires.outputs


class _Padded(nn.Module):
    """A convolution that reads four channels, then two and constants."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x).relu()
        part = functional.pad(x[:, :2], (0, 0, 0, 0, 0, 2), value=1.0)
        return self.fc((self.twice(x) + self.twice(part)).mean((2, 3)))


def test_a_column_that_reads_a_constant_in_another_call_is_protected() -> None:
    """It lives on when the channel is cut."""
    wires = wiring(_Padded(), SHAPE)
    protected = [label in wires.protected for label in wires.producers["stem"].tolist()]
    assert protected == [False, False, True, True]


class _Made(nn.Module):
    """A convolution of four channels, something, a linear layer."""

    def __init__(self, between: Any) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        self.between = between

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.between(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize(
    "between",
    [
        lambda x: x.softmax(1),
        lambda x: functional.group_norm(x, 2),
        lambda x: x * torch.arange(4.0)[:, None, None],
        lambda x: x - x.mean(1, keepdim=True),
        lambda x: torch.einsum("bchw,bdhw->bchw", x, x),
        lambda x: x / (1 + x.abs()),
        lambda x: x.transpose(1, 3).reshape(-1, 4, 6, 6),
    ],
    ids=["softmax", "group norm", "held", "mean", "einsum", "quotient", "mixed"],
)
def test_what_is_not_understood_is_protected(between: Any) -> None:
    """No channel before it may be cut, nor one that would have to be cut with one after it."""
    wires = wiring(_Made(between), SHAPE)
    assert set(wires.producers["conv"].tolist()) <= wires.protected
    assert groups(wires, "grouped") == groups(wires, "inner") == ()
    assert len(groups(wires, "independent")) == 4


@pytest.mark.parametrize(
    "between",
    [
        lambda x: x * torch.sigmoid(x),
        lambda x: functional.hardtanh(x) / 6 - 0 + x,
        lambda x: torch.zeros_like(x) + x.clone(),
        lambda x: x.relu_() + 0 * x,
        lambda x: functional.interpolate(functional.pad(x, (1, 1, 1, 1)), scale_factor=2.0),
        lambda x: x.permute(0, 2, 3, 1).unsqueeze(1).squeeze().permute(0, 3, 1, 2),
        lambda x: torch.stack([x[:, n] for n in range(4)], 1).flip(1),
    ],
    ids=["swish", "clipped", "zeros", "in place", "enlarged", "permuted", "stacked"],
)
def test_what_is_understood_may_be_cut(between: Any) -> None:
    """Each channel keeps its name, and cutting it leaves nothing behind."""
    network = drawn(_Made(between))
    wires = wiring(network, SHAPE)
    assert sorted(wires.consumers["fc"]) == sorted(wires.producers["conv"])
    for group in groups(wires, "inner"):
        unread = _unread(network, _without(network, wires, group), images(16))
        np.testing.assert_array_equal(unread["fc"], wires.consumers["fc"] == _label(wires, group))
    assert len(groups(wires, "inner")) == 4


def test_modules_that_share_a_weight_are_protected() -> None:
    """Two names, one weight: neither may be cut by itself."""
    network = NETWORKS["pre_activation"]()
    network.get_submodule("blocks.1.conv1").weight = network.get_submodule("blocks.2.conv1").weight
    wires = wiring(network, SHAPE)
    shared = [*wires.producers["blocks.1.conv1"], *wires.producers["blocks.2.conv1"]]
    assert set(shared) <= wires.protected


def _assigned(x: Tensor) -> Tensor:
    x[:, 0] = 0
    return x


@pytest.mark.parametrize(
    ("between", "message"),
    [
        (lambda x: x if x.sum() > 0 else -x, "must not branch on the values"),
        (lambda x: x.view(-1, 7, 6, 6), "cannot be followed through"),
        (_assigned, "does not support item assignment"),
        (lambda x: x.view(-1, 4, 36).relu_().sum() + x, "do not work in place"),
    ],
    ids=["branch", "shape", "assignment", "view"],
)
def test_what_cannot_be_followed_is_refused(between: Any, message: str) -> None:
    """The message says what and where."""
    with pytest.raises(UserError, match=message):
        wiring(_Made(between), SHAPE)


def test_the_network_stays_as_it_was(make: Make) -> None:
    """Modes, tensors and torch's own generator."""
    network = make("cifar_resnet_8_4").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    wiring(network, (3, 32, 32))
    assert all(module.training for module in network.modules())
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_coupling_that_there_is_not() -> None:
    """The message names those that there are."""
    with pytest.raises(UserError, match=r"coupling 'outer'.*grouped"):
        groups(wiring(NETWORKS["chain"](), SHAPE), "outer")
