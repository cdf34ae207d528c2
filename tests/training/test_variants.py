"""The dense, the masked and the compacted network of a state, and what running them takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from foundations.draws import generator
from foundations.errors import UserError
from models.gates import GATE
from pruning.accounting import account
from pruning.mask import Mask
from tests.training.examples import CPU, network_for, random_data, recipe
from training.measures.resources import Effort, latency, memory
from training.measures.sizes import compression, flops, parameters
from training.measures.subject import Subject
from training.measures.variants import Variants
from training.setting import Setting
from training.state import State

SHAPE = (3, 8, 8)
EFFORT = Effort(warmup=0, repeats=3, seconds=1e-3)


def _variants(*, masked: bool = True, test: int = 7, **flags: Any) -> Variants:
    """A network with drawn values; channels, single weights and a gate of it are cut."""
    job = recipe(model_name="cifar_resnet_8_4", **flags)
    data = random_data(10, test, shape=SHAPE)
    weights = {
        name: value + 0.3 * torch.rand(value.shape, generator=generator(1, name)).to(value.dtype)
        for name, value in network_for(job, data).state_dict().items()
    }
    kept = {n: torch.rand(w.shape, generator=generator(2, n)) < 0.8 for n, w in weights.items()}
    kept = {name: tensor for name, tensor in kept.items() if tensor.dim() > 1}
    for part in ("conv1.weight", "bn1.weight", "bn1.bias"):
        name = f"blocks.0.{part}"
        kept[name] = kept.get(name, torch.ones_like(weights[name], dtype=torch.bool))
        kept[name][1:3] = False
    gate = {f"{GATE}blocks.1.relu": torch.arange(8) != 5}
    setting = Setting(job, 1, Path("nowhere"), CPU)
    setting.__dict__["data"] = data  # in the place of what it would load
    mask = Mask(kept | gate) if masked else None
    return Variants(Subject.of(setting, State(0, weights, mask)))


def test_masked_and_compacted_give_the_same() -> None:
    """In float64, gates included; the dense one gives something else."""
    variants = _variants(numerics="float64")
    images = variants.images(5)
    dense, masked, compacted = (network(images) for network in variants.networks.values())
    torch.testing.assert_close(compacted, masked, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(dense, masked)
    assert images.dtype == dense.dtype == torch.float64


def test_without_a_mask_there_is_the_run_s_network() -> None:
    """With its weights."""
    variants = _variants(masked=False)
    (network,) = variants.networks.values()
    for name, value in network.state_dict().items():
        assert torch.equal(value, variants.subject.weights[name])
    assert compression(variants)["ratio"] == {}


def test_images_are_those_of_the_test_split() -> None:
    """The first of them; again from the first where there are too few. As the profile lays out."""
    variants = _variants()
    batches = variants.subject.setting.evaluation("test")
    assert batches is not None
    ((images, _),) = batches
    assert torch.equal(variants.images(2), images[:2])
    assert torch.equal(variants.images(16), torch.cat([images, images, images[:2]]))
    assert variants.images(16).is_contiguous(memory_format=torch.channels_last)
    first = _variants(numerics="float32_channels_first")
    assert first.images(16).is_contiguous()
    kernels = [v.networks["masked"].get_parameter("conv.weight") for v in (variants, first)]
    assert [w.is_contiguous(memory_format=torch.channels_last) for w in kernels] == [True, False]


def test_sizes() -> None:
    """Those of the account, and of the tensors that there are."""
    variants = _variants()
    subject = variants.subject
    assert subject.mask is not None
    small = variants.networks["compacted"]
    counted = account(subject.setting.network(), SHAPE, subject.mask)
    found = flops(variants, ["macs"])
    (macs,) = found["operations"]
    total = counted["total"]
    assert macs["count"]["dense"] == total["macs"]
    assert macs["count"]["masked"] == total["macs_kept"] < total["macs"]
    assert macs["count"]["compacted"] == account(small, SHAPE)["total"]["macs"] < total["macs"]
    cut = sum(int((~kept).sum()) for name, kept in subject.mask.items() if GATE not in name)
    assert found["parameters"] == parameters(variants)
    assert found["parameters"]["masked"] == found["parameters"]["dense"] - cut
    stored = compression(variants)["stored"]
    assert stored["dense"] == total["bytes"] + counted["others"]["bytes"]
    assert stored["masked"] == total["bytes_packed"] + counted["others"]["bytes_packed"]
    tensors = small.state_dict().values()
    assert stored["compacted"] == sum(t.numel() * t.element_size() for t in tensors)


def test_an_unknown_convention() -> None:
    """Also where no command line has looked."""
    with pytest.raises(UserError, match="Did you mean 'ptflops'"):
        flops(_variants(), ["ptflop"])


def test_each_batch_and_number_of_threads_is_timed() -> None:
    """Once, and the threads are as they were."""
    before = torch.get_num_threads()
    found = latency(_variants(), (1, 2, 1), (1, 2, 2), EFFORT)
    sizes = [(each["batch"], each["threads"]) for each in found["results"]]
    assert sizes == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert torch.get_num_threads() == before
    for each in found["results"]:
        assert list(each["seconds"]) == ["dense", "masked", "compacted"]


def test_memory_grows_with_the_batch() -> None:
    """Images and activations do, what is stored does not; it is the same every time."""
    variants = _variants()
    found = memory(variants, (2, 4))
    for two, four in zip(*(each["variants"].values() for each in found["results"]), strict=True):
        assert (four["images"], four["stored"]) == (2 * two["images"], two["stored"])
        assert four["passing"] > 1.9 * two["passing"]
    assert memory(variants, (2, 4)) == found
