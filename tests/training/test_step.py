"""One training step, against the same step written out in plain PyTorch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import BatchNorm2d, functional

from pruning.mask import Mask
from tests.training.examples import (
    CPU,
    SEED,
    engine_of,
    network_for,
    random_data,
    recipe,
    start_of,
    trained,
)
from training.engine import Engine
from training.state import State

if TYPE_CHECKING:
    from training.description import TrainDesc

STEPS = 8
FLAGS: list[dict[str, Any]] = [
    {},
    {"label_smoothing": 0.2},
    {"loss_temperature": 3.0},
    {"clip_gradient_norm": 0.05},
    {"clip_gradient_norm": 1e3},
    {
        "label_smoothing": 0.1,
        "loss_temperature": 0.5,
        "clip_gradient_norm": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.1,
        "warmup_steps": "3it",
        "milestone_steps": "1ep",
        "gamma": 0.3,
    },
]


def _engine(recipe: TrainDesc, mask: Mask | None = None) -> Engine:
    data = random_data()
    network = network_for(recipe, data)
    return Engine(network, recipe, data, start_of(network, mask), order_seed=SEED, device=CPU)


def _plainly(recipe: TrainDesc, network: nn.Module, engine: Engine, steps: int) -> list[float]:
    """So many steps on the batches of the engine's loader, as anybody would write them."""
    hparams = recipe.training
    optimizer = torch.optim.SGD(
        network.parameters(), lr=1, momentum=hparams.momentum, weight_decay=hparams.weight_decay
    )
    losses: list[float] = []
    per_epoch = engine.iterations_per_epoch
    ramp = 3 if hparams.warmup_steps else 0
    while len(losses) < steps:
        for images, labels in engine.loader.epoch(len(losses) // per_epoch):
            at = len(losses)
            drop = 0.3 if hparams.milestone_steps and at >= per_epoch else 1
            rate = hparams.lr * drop * (min(1, at / ramp) if ramp else 1)
            optimizer.param_groups[0]["lr"] = rate
            logits = network(images.double()) / hparams.loss_temperature
            loss = _smoothed(logits, labels, hparams.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # as torch has it
            if hparams.clip_gradient_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), hparams.clip_gradient_norm)
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == steps:
                break
    return losses


def _smoothed(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with (1 - s) of the target on the label and s spread evenly."""
    classes = logits.shape[1]
    target = functional.one_hot(labels, classes).double() * (1 - smoothing) + smoothing / classes
    return -(target * functional.log_softmax(logits, 1)).sum(1).mean()


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_training_is_what_anybody_would_write(flags: dict[str, Any]) -> None:
    """Weights after two epochs and two more steps are those of a plain loop, in float64."""
    made = recipe(numerics="float64", training_steps="9ep", **flags)
    engine = _engine(made)
    plain = network_for(made, random_data()).double()
    losses = _plainly(made, plain, engine, STEPS)
    trained(engine, 6)
    assert engine.epoch_loss() == pytest.approx(
        (4 * losses[3] + 4 * losses[4] + 2 * losses[5]) / 10, rel=1e-6
    )
    trained(engine, STEPS)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(engine.weights()[name], value, atol=1e-12, rtol=1e-11)


@pytest.mark.parametrize("numerics", ["float32", "float32_channels_first", "bfloat16"])
def test_profiles_give_nearly_what_float64_gives(numerics: str) -> None:
    """A convolutional network's losses agree with those of float64 as far as the digits go."""
    data = random_data(8, shape=(3, 8, 8))
    flags = {"lr": 0.01, "momentum": 0.9, "milestone_steps": "", "gamma": None}
    found = {}
    for profile in (numerics, "float64"):
        made = recipe("cifar_resnet_8_2", numerics=profile, **flags)
        engine = trained(engine_of(made, data), 4)
        assert {v.dtype for v in engine.weights().values() if v.is_floating_point()} == {
            torch.float64 if profile == "float64" else torch.float32
        }
        found[profile] = engine.epoch_loss()
    tolerance = 0.05 if numerics == "bfloat16" else 1e-5
    assert found[numerics] == pytest.approx(found["float64"], rel=tolerance)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_frozen_parameters_do_not_move(optimizer: str) -> None:
    """Weight decay and momentum included, a frozen parameter keeps its bits; the others move."""
    data = random_data(8, shape=(3, 8, 8))
    made = recipe(
        "cifar_resnet_8_2",
        optimizer_name=optimizer,
        momentum=0.9 if optimizer == "sgd" else 0.0,
        weight_decay=0.1,
        output_frozen=True,
        batchnorm_frozen=True,
        milestone_steps="",
        gamma=None,
    )
    network = network_for(made, data)
    before = start_of(network).weights
    after = trained(engine_of(made, data), 4).state().weights
    parameters = {name for name, _ in network.named_parameters()}
    moved = {name for name in parameters if not torch.equal(before[name], after[name])}
    norms = [name for name, module in network.named_modules() if isinstance(module, BatchNorm2d)]
    frozen = {name for name in parameters if name.rpartition(".")[0] in {*norms, "fc"}}
    assert len(frozen) == 2 * (len(norms) + 1)
    assert moved == parameters - frozen


class _Sum(nn.Module):
    """A linear layer whose weight is a sum, so that both terms have one gradient."""

    output_layer = ""

    def __init__(self) -> None:
        super().__init__()
        drawn = torch.Generator().manual_seed(0)
        self.first, self.second = (
            nn.Parameter(torch.randn(3, 16, generator=drawn)) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        return functional.linear(x.flatten(1), self.first + self.second)


@pytest.mark.parametrize("masked", [("first",), ("second",), ("first", "second")])
@pytest.mark.parametrize("numerics", ["float64", "compiled"])
def test_parameters_that_share_a_gradient_are_masked_apart(
    masked: tuple[str, ...], numerics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each term of a sum gets the update of torch.optim.SGD under its own mask."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    flags: dict[str, Any] = {"momentum": 0.9, "weight_decay": 0.1, "batch_size": 5}
    network, made, data = _Sum(), recipe(numerics=numerics, **flags), random_data()
    drawn = torch.Generator().manual_seed(1)
    mask = Mask({name: torch.rand(3, 16, generator=drawn) < 0.5 for name in masked})
    start = State(0, start_of(network).weights, mask)
    engine = Engine(network, made, data, start, order_seed=SEED, device=CPU)
    plain = _Sum().double()
    plain.load_state_dict(mask.apply(plain.state_dict()))
    optimizer = torch.optim.SGD(
        plain.parameters(), made.training.lr, momentum=0.9, weight_decay=0.1
    )
    for images, labels in engine.loader.epoch(0):
        optimizer.zero_grad()
        functional.cross_entropy(plain(images.double()), labels).backward()  # type: ignore[no-untyped-call] # as torch has it
        for name, parameter in plain.named_parameters():
            assert parameter.grad is not None
            parameter.grad *= mask.get(name, torch.ones(3, 16))
        optimizer.step()
    trained(engine, 2)
    for name, value in plain.state_dict().items():
        tolerance = 1e-12 if numerics == "float64" else 1e-5
        torch.testing.assert_close(
            engine.weights()[name].double(), value, atol=tolerance, rtol=tolerance
        )


optimizers = st.one_of(
    st.fixed_dictionaries(
        {
            "optimizer_name": st.just("sgd"),
            "momentum": st.sampled_from([0.0, 0.9]),
            "nesterov_momentum": st.sampled_from([0.0, 0.9]),
        }
    ),
    st.fixed_dictionaries({"optimizer_name": st.sampled_from(["adam", "adamw"])}),
)


@settings(max_examples=25, deadline=None)
@given(
    optimizer=optimizers,
    decay=st.sampled_from([0.0, 0.1]),
    clip=st.sampled_from([None, 0.1]),
    fraction=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    seed=st.integers(0, 9),
)
def test_pruned_weights_are_zero_after_every_step(
    optimizer: dict[str, Any], decay: float, clip: float | None, fraction: float, seed: int
) -> None:
    """Exactly zero in the engine and in what it saves; some of what is kept moves."""
    made = recipe(weight_decay=decay, clip_gradient_norm=clip, **optimizer)
    weights = start_of(network_for(made, random_data())).weights
    drawn = torch.Generator().manual_seed(seed)
    kept = {
        name: torch.rand(weights[name].shape, generator=drawn) >= fraction
        for name in ("fc.weight", "fc_layers.0.weight")
    }
    engine = _engine(made, Mask(kept))
    for iteration in range(1, 7):
        trained(engine, iteration)
        for held in (engine.weights(), engine.state().weights):
            for name, keep in kept.items():
                assert held[name][~keep].eq(0).all()
                assert not held[name][~keep].signbit().any()
    for slot, values in engine.state().slots.items():
        for name, keep in kept.items():
            if slot != "count":
                assert values[name][~keep].eq(0).all()
    assert not torch.equal(engine.weights()["fc.bias"], weights["fc.bias"])
