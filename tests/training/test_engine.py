"""The engine: where it stands, how it goes on, and what it refuses to go on from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from foundations.errors import RunFailedError, UserError
from models import MODELS
from tests.training.examples import (
    CPU,
    DROPPING,
    SEED,
    engine_of,
    network_for,
    random_data,
    recipe,
    start_of,
    trained,
)
from training.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from training.description import TrainDesc


@pytest.fixture
def dropping() -> Iterator[None]:
    """A family of networks that draw in their forward pass, added as a user's file would."""
    MODELS.add(DROPPING.name, DROPPING)
    yield
    MODELS._entries.pop("test_dropping")


def _weights_after(recipe: TrainDesc, stops: tuple[int, ...]) -> dict[str, Tensor]:
    """The weights at the last of the stops; at each, a new engine goes on from the state."""
    engine = engine_of(recipe)
    for stop in stops:
        state = trained(engine, stop).state()
        torch.manual_seed(stop)  # as a new process would have another state of the generator
        engine = engine_of(recipe, state=state)
    return state.weights


@pytest.mark.parametrize("how", ["module", "functional"])
@pytest.mark.usefixtures("dropping")
def test_dropout_resumes_to_the_same_weights(how: str) -> None:
    """What the network itself draws is keyed by the iteration, whatever was drawn before."""
    made = recipe(model_name=f"test_dropping_{how}")
    whole = _weights_after(made, (6,))
    parts = _weights_after(made, (1, 4, 6))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    frozen_draws = trained(engine_of(made), 1).state().weights
    assert not torch.equal(frozen_draws["hidden.weight"], whole["hidden.weight"])


@pytest.mark.usefixtures("dropping")
def test_what_a_network_draws_differs_between_steps_and_seeds() -> None:
    """Two steps on one batch with a learning rate of 0 have two losses; another seed, others."""
    data = random_data(train=4)
    made = recipe(model_name="test_dropping_module", lr=0.0, training_steps="9ep")
    losses = []
    for seed in (1, 1, 2):
        network = network_for(made, data)
        engine = Engine(network, made, data, start_of(network), order_seed=seed, device=CPU)
        losses.append(tuple(trained(engine, at).epoch_loss() for at in (1, 2)))
    assert losses[0] == losses[1]
    assert len({*losses[0], *losses[2]}) == 4


@pytest.mark.usefixtures("dropping")
def test_training_leaves_the_global_generator_alone() -> None:
    """A notebook's own draws go on as if nothing had been trained between them."""
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trained(engine_of(recipe(model_name="test_dropping_module")), 2)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_resuming_anywhere_gives_the_same_bytes(optimizer: str) -> None:
    """A state, its slots included, is all that the next step needs."""
    made = recipe(optimizer_name=optimizer, momentum=0.9 if optimizer == "sgd" else 0.0)
    whole = _weights_after(made, (6,))
    for stop in range(1, 6):
        parts = _weights_after(made, (stop, 6))
        assert all(torch.equal(whole[name], parts[name]) for name in whole), stop


def test_a_state_is_a_copy() -> None:
    """What was taken does not change when training goes on."""
    engine = trained(engine_of(recipe(momentum=0.9)), 1)
    state = engine.state()
    before = {name: value.clone() for name, value in state.weights.items()}
    velocity = {name: value.clone() for name, value in state.slots["momentum"].items()}
    trained(engine, 3)
    assert all(torch.equal(state.weights[name], before[name]) for name in before)
    assert all(torch.equal(state.slots["momentum"][name], velocity[name]) for name in velocity)


def test_the_start_is_not_changed() -> None:
    """Training leaves the state that it began from as it was."""
    made, data = recipe(), random_data()
    start = start_of(network_for(made, data))
    before = {name: value.clone() for name, value in start.weights.items()}
    trained(engine_of(made, data, start), 2)
    assert all(torch.equal(start.weights[name], before[name]) for name in before)


def test_a_ragged_last_batch_weighs_by_its_examples() -> None:
    """The loss of an epoch at a learning rate of 0 is that over all examples at once."""
    data = random_data(train=10)
    parts = trained(engine_of(recipe(lr=0.0, batch_size=4), data), 3).epoch_loss()
    whole = trained(engine_of(recipe(lr=0.0, batch_size=10), data), 1).epoch_loss()
    assert parts == pytest.approx(whole, rel=1e-6)


def test_advance_stops_when_asked_and_goes_on() -> None:
    """The watch is told of each update, and ends the call after the one at which it says so."""
    engine, seen = engine_of(recipe()), []

    def watch(iteration: int, loss: Tensor) -> bool:
        seen.append((iteration, float(loss)))
        return iteration == 2

    engine.advance(3, watch)
    assert engine.iteration == 2
    engine.advance(3, watch)
    assert [iteration for iteration, _ in seen] == [1, 2, 3]
    assert engine.losses.tolist() == [loss for _, loss in seen]


def test_advance_stays_within_an_epoch() -> None:
    """Whoever drives the engine must halt between epochs."""
    with pytest.raises(ValueError, match="within an epoch"):
        engine_of(recipe()).advance(4)


@pytest.mark.parametrize("bad", [0, 2, 4, 5])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_named_by_its_iteration(bad: int, value: float) -> None:
    """The first update whose loss is not finite is named, in any epoch, and once stopped there."""
    engine = engine_of(recipe())
    while engine.iteration <= bad:
        if engine.iteration == bad:
            engine.tensors.trained["fc.bias"].fill_(value)
        trained(engine, engine.iteration + 1)
        if engine.iteration <= bad:
            engine.check_finite()
    epoch = bad // engine.iterations_per_epoch
    trained(engine, (epoch + 1) * engine.iterations_per_epoch)
    with pytest.raises(RunFailedError, match=rf"nan at iteration {bad} \(epoch {epoch}\)"):
        engine.check_finite()


def test_a_weight_that_is_not_finite_is_named() -> None:
    """The last update may spoil a weight after its loss was fine."""
    engine = trained(engine_of(recipe()), 2)
    engine.tensors.trained["fc.bias"][0] = float("inf")
    with pytest.raises(RunFailedError, match=r"fc\.bias is not finite after iteration 2"):
        engine.check_finite()


def test_nothing_left_to_train_is_a_mistake() -> None:
    """A recipe that freezes everything is refused before training."""
    made = recipe(others_frozen=True, output_frozen=True)
    with pytest.raises(UserError, match="freeze every parameter"):
        engine_of(made)


def test_the_schedule_goes_on_from_the_start_step() -> None:
    """A start at iteration 4 makes the second update of epoch 1, on its second batch."""
    made = recipe(lr=0.5, milestone_steps="5it", gamma=0.1)
    data = random_data()
    start = replace(start_of(network_for(made, data)), iteration=4)
    engine = engine_of(made, data, start)
    engine.advance(5)
    images, labels = list(engine.loader.epoch(1))[1]
    network = network_for(made, data)
    loss = torch.nn.functional.cross_entropy(network(images), labels)
    loss.backward()  # type: ignore[no-untyped-call] # as torch has it
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        expected = parameter - 0.5 * parameter.grad
        torch.testing.assert_close(engine.weights()[name], expected.detach())
    assert engine.order_seed == SEED
