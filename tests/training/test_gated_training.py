"""Training and evaluation with gates and cut channels: what is cut is silent, and in no file."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from datasets.loader import EvalLoader
from models.gates import gate_tensors
from pruning.gating import with_gates
from pruning.hparams import PruningHparams
from pruning.prune import prune
from pruning.subject import Subject
from tests.training.examples import CPU, SEED, network_for, random_data, recipe, start_of, trained
from training.engine import Engine
from training.evaluation import Evaluation

if TYPE_CHECKING:
    from models.cifar_resnet import Block
    from pruning.mask import Mask

DATA = random_data(12, 7, shape=(3, 8, 8))
FLAGS = {"momentum": 0.9, "weight_decay": 5e-4, "augment_crop": 0, "augment_flip": False}


def case(granularity: str, **flags: object) -> tuple[Engine, Mask]:
    """A ResNet of which a third of the units is cut, about to be trained."""
    made = recipe("cifar_resnet_8", **{**FLAGS, **flags})
    network = network_for(made, DATA)
    hparams = PruningHparams(granularity=granularity, strategy="random", prune_fraction=0.35)
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    mask = prune(Subject(network, hparams, DATA.shape), weights).mask
    run = with_gates(network, DATA.shape, mask)
    state = start_of(network, mask)
    return Engine(run, made, DATA, state, order_seed=SEED, device=CPU), mask


class Hand(nn.Module):
    """A ResNet whose activations are multiplied by hand."""

    def __init__(self, network: nn.Module, gates: dict[str, Tensor]) -> None:
        super().__init__()
        self.network, self.factors = network, gates

    def gate(self, name: str, x: Tensor) -> Tensor:
        """The activations that are let through."""
        return x * self.factors[f"gate:{name}"][:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        parts = dict(self.network.named_modules())
        x = self.gate("relu", functional.relu(parts["bn"](parts["conv"](x))))
        for n, block in enumerate(
            cast("list[Block]", list(cast("nn.Sequential", parts["blocks"])))
        ):
            y = self.gate(f"blocks.{n}.relu", functional.relu(block.bn1(block.conv1(x))))
            sum_ = block.bn2(block.conv2(y)) + block.shortcut(x)
            x = self.gate(f"blocks.{n}.relu_1", functional.relu(sum_))
        return cast("Tensor", parts["fc"](x.mean((2, 3))))


def by_hand(engine: Engine, mask: Mask) -> Hand:
    """The network of an engine with its weights, and its mask's gates written out."""
    network = network_for(engine.recipe, DATA)
    network.load_state_dict(engine.state().weights)
    gates = {name: kept.float() for name, kept in mask.items() if name.startswith("gate:")}
    return Hand(network, gates)


def test_training_goes_through_the_gates() -> None:
    """The weights after an epoch are those of a loop over a network with masks written in it."""
    engine, mask = case("gates", lr=0.05)
    hand = by_hand(engine, mask)
    optimizer = torch.optim.SGD(hand.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    hand.train()
    for images, labels in engine.loader.epoch(0, 0):
        optimizer.zero_grad()
        functional.cross_entropy(hand(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    trained(engine, 3)
    expected = hand.network.state_dict()
    for name, value in engine.state().weights.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)
    plain, _ = case("weights", lr=0.05)
    assert engine.state().weights.keys() == plain.state().weights.keys()


@pytest.mark.parametrize("numerics", ["float32", "float64"])
def test_evaluation_goes_through_the_gates(numerics: str) -> None:
    """Accuracy and loss are those of the network with the masks written in it."""
    engine, mask = case("gates", numerics=numerics)
    trained(engine, 3)
    run = with_gates(network_for(engine.recipe, DATA), DATA.shape, mask)
    evaluation = Evaluation(run, engine.recipe.training)
    batches = EvalLoader(DATA.test, DATA, batch_size=3, device=CPU)
    found = evaluation.measure(engine.weights() | engine.gates(), batches)
    hand = by_hand(engine, mask).eval()
    with torch.no_grad():
        images, labels = next(iter(EvalLoader(DATA.test, DATA, batch_size=7, device=CPU)))
        logits = hand(images)
    assert found["loss"] == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-4)
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    without = evaluation.measure(engine.weights(), batches)
    assert without["loss"] != pytest.approx(found["loss"], rel=1e-4)


def test_gates_are_in_no_state() -> None:
    """They are the mask's: neither weights nor slots nor digests have them."""
    engine, mask = case("gates")
    state = trained(engine, 3).state()
    assert state.mask == mask
    names = network_for(engine.recipe, DATA).state_dict().keys()
    assert state.weights.keys() == engine.weights().keys() == names
    assert not any("gates." in name for slot in state.slots.values() for name in slot)
    assert set(engine.gates()) == set(gate_tensors(mask))
    assert all(torch.equal(engine.gates()[n], g) for n, g in gate_tensors(mask).items())


def test_training_goes_on_from_a_state() -> None:
    """Stopped and continued it comes to the same bits."""
    engine, mask = case("gates")
    whole = trained(engine, 5).state()
    first, _ = case("gates")
    state = trained(first, 2).state()
    run = with_gates(network_for(first.recipe, DATA), DATA.shape, mask)
    second = Engine(run, first.recipe, DATA, state, order_seed=SEED, device=CPU)
    again = trained(second, 5).state()
    assert all(torch.equal(again.weights[name], value) for name, value in whole.weights.items())


def test_cut_channels_stay_silent() -> None:
    """Weights, scales and shifts are zero after each step, and momentum never moves them."""
    engine, mask = case("channels")
    assert any(name.endswith("bn1.bias") for name in mask)
    for until in (1, 2, 5):
        state = trained(engine, until).state()
        for name, kept in mask.items():
            assert not state.weights[name][~kept].any()
            assert not state.slots["momentum"][name][~kept].any()
            assert state.weights[name][kept].all() or name.endswith("bias")


def test_what_comes_into_a_cut_channel_does_not_matter() -> None:
    """Other running statistics of the norms behind it change no bit of the logits."""
    engine, mask = case("channels")
    weights = trained(engine, 3).state().weights
    network = network_for(engine.recipe, DATA).eval()
    images, _ = next(iter(EvalLoader(DATA.test, DATA, batch_size=7, device=CPU)))
    other = copy.deepcopy(weights)
    norms = [name.removesuffix(".bias") for name in mask if name.endswith(".bias")]
    for norm in norms:
        other[f"{norm}.running_mean"][~mask[f"{norm}.bias"]] = 3.0
    one, two = (functional_call(network, each, (images,)) for each in (weights, other))
    assert norms
    assert torch.equal(one, two)


@pytest.mark.slow
def test_compiled_training_goes_through_the_gates() -> None:
    """The compiled step does what the eager one does."""
    eager, mask = case("gates", lr=0.05)
    compiled, same = case("gates", lr=0.05, numerics="compiled")
    assert same == mask
    one, two = (trained(engine, 3).state().weights for engine in (eager, compiled))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4)
