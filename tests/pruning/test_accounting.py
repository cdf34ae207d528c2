"""What a mask leaves is counted as published, and as slow computations count it."""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from foundations.draws import generator
from foundations.errors import UserError
from models.build import prunable
from models.gates import GATE, gate_tensors, gated
from models.hparams import ModelHparams
from models.wiring import wiring
from pruning.accounting import account
from pruning.mask import Mask
from tests.models.graphs import NETWORKS, SHAPE

if TYPE_CHECKING:
    from pruning.accounting import Account


def _network(name: str, shape: tuple[int, int, int]) -> nn.Module:
    from models.build import build

    hparams = ModelHparams(model_name=name, model_init="kaiming_normal", batchnorm_init="uniform")
    return build(hparams, shape=shape, classes=10, seed=1)


def _hooked_macs(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of all calls of convolutions and linear layers, by hooks."""
    counted: list[int] = []

    def count(module: Any, _: Any, output: Tensor) -> None:
        places = prod(output.shape[2:]) if isinstance(module, nn.Conv2d) else 1
        counted.append(places * module.weight.numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, *shape))
    return sum(counted)


@pytest.mark.parametrize(
    ("name", "shape", "macs"),
    [
        ("cifar_resnet_20_a", (3, 32, 32), 40_551_040),
        ("cifar_resnet_20", (3, 32, 32), 40_551_040 + 262_144),
        ("cifar_vgg_16", (3, 32, 32), 313_201_664),
        ("mnist_lenet_300_100", (1, 28, 28), 266_200),
    ],
)
def test_multiply_accumulates(name: str, shape: tuple[int, int, int], macs: int) -> None:
    """Of ResNet-20, the published 40.55 million, and its projections; and as hooks count them."""
    network = _network(name, shape)
    found = account(network, shape)["total"]
    assert found["macs"] == found["macs_kept"] == found["macs_effective"] == macs
    assert _hooked_macs(network, shape) == macs


@pytest.mark.parametrize(
    ("name", "macs"),
    [("resnet50", 4_089_184_256), ("vgg16", 15_470_264_320), ("mobilenet_v2", 300_774_272)],
)
def test_multiply_accumulates_of_torchvision(name: str, macs: int) -> None:
    """At 224 x 224: the 4.09, 15.47 and 0.30 billions that torchvision states."""
    weights = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].value
    with torch.device("meta"):
        network = torchvision.models.get_model(name, weights=None)
    assert account(network, (3, 224, 224))["total"]["macs"] == macs
    assert round(macs / 1e9, 3) == weights.meta["_ops"]


@pytest.mark.parametrize("name", NETWORKS)
def test_hooks_count_the_same(name: str) -> None:
    """In every way that channels go."""
    network = NETWORKS[name]()
    assert account(network, SHAPE)["total"]["macs"] == _hooked_macs(network, SHAPE)


class _Positive(nn.Module):
    """A network all of whose numbers are positive: nothing that is on a path cancels out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.double().eval()
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5, generator=generator(2, name))
                zero = name.endswith(("bias", "running_mean"))
                tensor.mul_(0 if zero else 0.01 if name.endswith("weight") else 1)


def _by_gradients(network: nn.Module, state: dict[str, Tensor]) -> dict[str, int]:
    """How many kept weights of each layer change the output, if they change."""
    names = prunable(network)
    weights = {name: state[name].detach().requires_grad_() for name in names}
    x = torch.rand((2, *SHAPE), generator=generator(4, "x"), dtype=torch.float64) + 0.5
    out = torch.func.functional_call(network, state | weights, (x,)).sum()
    slopes = torch.autograd.grad(out, list(weights.values()), materialize_grads=True)
    return {
        name: int(((slope != 0) & (state[name] != 0)).sum())
        for name, slope in zip(names, slopes, strict=True)
    }


def _effective(counted: Account) -> dict[str, int]:
    return {each["layer"]: each["counts"]["weights_effective"] for each in counted["layers"]}


def _drawn_mask(network: nn.Module, density: float, seed: int, *, gates: bool = False) -> Mask:
    """Weights, norms' scales, and gates, kept at random."""
    norms = [f"{n}.weight" for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    shapes = {name: network.get_parameter(name).shape for name in prunable(network)}
    chances = {name: (density, shape) for name, shape in shapes.items()}
    chances |= {name: (0.8, network.get_parameter(name).shape) for name in norms}
    for site in wiring(network, SHAPE).sites.values() if gates else ():
        chances[f"{GATE}{site.name}"] = (0.8, torch.Size([site.width]))
    return Mask(
        {
            name: torch.rand(shape, generator=generator(seed, name)) < chance
            for name, (chance, shape) in chances.items()
        }
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("density", [0.3, 0.1, 0.04])
@pytest.mark.parametrize("name", NETWORKS)
def test_effective_weights_are_those_that_matter(name: str, density: float, seed: int) -> None:
    """In a network of positive numbers, by gradients that are exactly 0 or not."""
    network = NETWORKS[name]()
    mask = _drawn_mask(network, density, seed)
    state = mask.apply(dict(_Positive(network).network.state_dict()))
    sigmoid = name == "depthwise"  # not 0 at 0: a path's end is no zero there
    expected = _by_gradients(network, state)
    found = _effective(account(network, SHAPE, mask))
    assert found == expected or (sigmoid and all(found[n] <= expected[n] for n in found))


@pytest.mark.parametrize("name", ["chain", "option_a", "option_b", "dense", "pre_activation"])
def test_a_pruned_gate_ends_paths(name: str) -> None:
    """As above, with gates."""
    network = NETWORKS[name]()
    mask = _drawn_mask(network, 0.3, 9, gates=True)
    state = mask.apply(dict(_Positive(network).network.state_dict()))
    closed = gated(network, wiring(network, SHAPE).sites.values())
    expected = _by_gradients(closed, state | gate_tensors(mask, torch.float64))
    counted = account(network, SHAPE, mask)
    assert _effective(counted) == expected
    assert len(counted["gates"]) == len(wiring(network, SHAPE).sites)
    assert sum(gate["open"] for gate in counted["gates"]) < sum(
        gate["width"] for gate in counted["gates"]
    )


def test_the_residual_stream_goes_around_a_block_that_is_cut() -> None:
    """The block's other layer is cut off, all else goes on."""
    network = NETWORKS["option_b"]()
    mask = Mask.dense(dict(network.named_parameters()), prunable(network))
    mask = Mask({**mask, "blocks.2.conv1.weight": ~mask["blocks.2.conv1.weight"]})
    counted = account(network, SHAPE, mask)
    assert counted["cut_to_nothing"] == ["blocks.2.conv1.weight"]
    assert counted["cut_off"] == ["blocks.2.conv2.weight"]
    assert counted["total"]["weights_effective"] == counted["total"]["weights"] - 2 * 7 * 7 * 9
    assert counted["effective_sparsity"] > counted["sparsity"] > 0


def test_counts_of_one_layer() -> None:
    """Two kernels of one filter, three weights: by hand."""
    network = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.Flatten(), nn.Linear(12, 2))
    kept = torch.zeros(3, 2, 3, 3, dtype=torch.bool)
    kept[1, 0, 0, :2] = kept[1, 1, 2, 2] = True
    counted = account(network, (2, 4, 4), Mask({"0.weight": kept}))
    assert counted["layers"][0] == {
        "layer": "0.weight",
        "shape": [3, 2, 3, 3],
        "output": [3, 2, 2],
        "counts": {
            "weights": 54,
            "weights_kept": 3,
            "weights_effective": 3,
            "kernels": 6,
            "kernels_alive": 2,
            "channels": 3,
            "channels_alive": 1,
            "macs": 54 * 4,
            "macs_kept": 12,
            "macs_effective": 12,
            "bytes": 216,
            "bytes_packed": 3 * 4 + 7,
        },
    }
    assert counted["layers"][1]["counts"]["weights_kept"] == 24
    assert counted["layers"][1]["counts"]["weights_effective"] == 8
    assert counted["layers"][1]["counts"]["bytes_packed"] == 96
    assert counted["total"]["weights_kept"] == 27
    assert counted["others"] == {"bytes": 8, "bytes_packed": 8}


def test_bytes_are_those_of_the_state() -> None:
    """Of all tensors of the state, counters of batch norms included; a full mask takes no more."""
    network = _network("cifar_resnet_20", (3, 32, 32))
    mask = Mask.dense(dict(network.named_parameters()), prunable(network))
    counted = account(network, (3, 32, 32), mask)
    stored = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    assert counted["total"]["bytes"] + counted["others"]["bytes"] == stored
    assert counted["total"]["bytes_packed"] == counted["total"]["bytes"]


def test_masked_biases_and_norms_are_packed() -> None:
    """They are no weights of layers, but they are stored."""
    network = NETWORKS["option_b"]()
    none = Mask({"bn.weight": torch.zeros(4, dtype=torch.bool)})
    counted = account(network, SHAPE, none)
    assert counted["others"]["bytes"] - counted["others"]["bytes_packed"] == 4 * 4 - 1
    assert counted["sparsity"] == 0
    assert counted["effective_sparsity"] == 1


def test_a_layer_that_is_not_run_has_no_effect() -> None:
    """A second head has weights, and neither output nor multiply-accumulates."""
    network = NETWORKS["chain"]()
    network.add_module("other", nn.Linear(2, 2))
    other = next(x for x in account(network, SHAPE)["layers"] if x["layer"] == "other.weight")
    assert other["output"] == []
    assert (other["counts"]["weights"], other["counts"]["macs"]) == (4, 0)
    assert other["counts"]["weights_effective"] == 0


def test_it_is_plain_data() -> None:
    """What is written to a file is what was counted."""
    counted = account(NETWORKS["dense"](), SHAPE, _drawn_mask(NETWORKS["dense"](), 0.5, 1))
    assert json.loads(json.dumps(counted)) == counted


@pytest.mark.parametrize(
    ("name", "shape"), [("none.weight", (1,)), ("fc.weight", (2, 2)), ("gate:relu", (9,))]
)
def test_a_mask_of_another_network(name: str, shape: tuple[int, ...]) -> None:
    """Names and shapes are compared, of gates too."""
    with pytest.raises(UserError, match="mask of another network"):
        account(NETWORKS["option_b"](), SHAPE, Mask({name: torch.ones(shape) > 0}))
