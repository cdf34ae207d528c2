"""The loss that an ensemble teaches, and its gradient, against slow sums in float64."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional

from tests.training.examples import (
    CPU,
    engine_of,
    network_for,
    random_data,
    recipe,
    start_of,
    trained,
)
from training.distilling import Distilling, ensemble_accuracy
from training.engine import Engine

if TYPE_CHECKING:
    from torch import Tensor

EXAMPLES, CLASSES, TEACHERS = 5, 4, 3


def _drawn(seed: int, *shape: int) -> Tensor:
    drawn = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=drawn, dtype=torch.float64)


def _taught() -> list[Tensor]:
    return [_drawn(10 + teacher, EXAMPLES, CLASSES) for teacher in range(TEACHERS)]


def _distilling(
    taught: list[Tensor], temperature: float, mean: str = "examples", cross_entropy: float = 0.0
) -> Distilling:
    """Teachers whose logits are given, whatever the images are."""
    networks = [lambda images, logits=logits: logits + 0 * images.sum() for logits in taught]
    hparams = recipe(numerics="float64").training
    return Distilling(networks, hparams, temperature, mean, cross_entropy)


def _softmax(row: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


def _slow(student: Tensor, taught: list[Tensor], temperature: float) -> float:
    """The formula, one number at a time; the mean over examples."""
    total = 0.0
    for teacher in taught:
        for row, own in zip(teacher.tolist(), student.tolist(), strict=True):
            p, q = _softmax(row, temperature), _softmax(own, temperature)
            total += sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / (len(taught) * len(student))


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_the_loss_is_the_mean_divergence_from_the_teachers(temperature: float) -> None:
    """With the mean over classes too, it is as many times smaller as there are classes."""
    student, taught, labels = _drawn(1, EXAMPLES, CLASSES), _taught(), torch.zeros(EXAMPLES).long()
    images = torch.ones(EXAMPLES, 1, 2, 2)
    loss = _distilling(taught, temperature)(images, student, labels)
    assert float(loss) == pytest.approx(_slow(student, taught, temperature), rel=1e-12)
    original = _distilling(taught, temperature, "examples_and_classes")(images, student, labels)
    assert float(original) == pytest.approx(float(loss) / CLASSES, rel=1e-12)


def test_the_gradient_is_that_of_finite_differences() -> None:
    """Of every logit of the student."""
    student, taught, labels = _drawn(1, EXAMPLES, CLASSES), _taught(), torch.zeros(EXAMPLES).long()
    student.requires_grad_()
    loss = _distilling(taught, 2.0)(torch.ones(EXAMPLES, 1, 2, 2), student, labels)
    (gradient,) = torch.autograd.grad(loss, student)
    step = 1e-6
    for index in range(student.numel()):
        values = []
        for sign in (1, -1):
            moved = student.detach().clone()
            moved.view(-1)[index] += sign * step
            values.append(_slow(moved, taught, 2.0))
        slope = (values[0] - values[1]) / (2 * step)
        assert float(gradient.view(-1)[index]) == pytest.approx(slope, abs=1e-8)


def test_the_cross_entropy_is_added_by_its_weight() -> None:
    """That of the labels, as the recipe has it."""
    student, taught = _drawn(1, EXAMPLES, CLASSES), _taught()
    labels, images = torch.arange(EXAMPLES) % CLASSES, torch.ones(EXAMPLES, 1, 2, 2)
    plain = _distilling(taught, 5.0)(images, student, labels)
    both = _distilling(taught, 5.0, cross_entropy=0.25)(images, student, labels)
    expected = plain + 0.25 * functional.cross_entropy(student, labels)
    torch.testing.assert_close(both, expected, rtol=1e-12, atol=0)


def test_who_gives_the_teachers_outputs_has_nothing_to_learn() -> None:
    """The loss is zero, and so is its gradient."""
    teacher = _drawn(1, EXAMPLES, CLASSES)
    student = teacher.clone().requires_grad_()
    labels = torch.zeros(EXAMPLES).long()
    loss = _distilling([teacher], 5.0)(torch.ones(EXAMPLES, 1, 2, 2), student, labels)
    (gradient,) = torch.autograd.grad(loss, student)
    assert abs(float(loss.detach())) < 1e-14
    assert gradient.abs().max() < 1e-14


def test_an_ensemble_votes_by_its_mean_probabilities() -> None:
    """Not by its mean logits: one that is sure of a wrong answer counts no more than another."""
    unsure, sure = torch.tensor([[0.4, 0.0, 0.0]]), torch.tensor([[0.0, 9.0, -9.0]])
    networks = [lambda _: unsure, lambda _: unsure, lambda _: sure]
    images = torch.zeros(1, 1, 2, 2)
    mean = torch.stack([functional.softmax(x, 1) for x in (unsure, unsure, sure)]).mean(0)
    assert int(mean.argmax()) == 1
    assert ensemble_accuracy(networks, [(images, torch.tensor([1]))]) == 1.0
    batches = [(images, torch.tensor([1])), (images, torch.tensor([0]))]
    assert ensemble_accuracy(networks, batches) == 0.5


@pytest.mark.parametrize("numerics", ["float32", "bfloat16", "float64", "compiled"])
def test_the_engine_minimizes_the_objective(numerics: str) -> None:
    """In every arithmetic: the loss it reports falls, and the teacher stays as it is."""
    data, made = random_data(), recipe(numerics=numerics, lr=0.2, batch_size=10)
    teacher = trained(engine_of(made, data), 2)
    frozen, network = teacher.weights(), teacher.network.eval()
    before = {name: value.clone() for name, value in frozen.items()}

    def taught(images: Tensor) -> Tensor:
        with teacher.numerics.arithmetic(images.device):
            logits: Tensor = torch.func.functional_call(network, frozen, (images,))
        return logits

    objective = Distilling([taught], made.training, 2.0)
    own = network_for(made, data)
    engine = Engine(own, made, data, start_of(own), order_seed=1, device=CPU, objective=objective)
    losses = []
    while engine.iteration < 8:
        engine.advance(engine.iteration + 1)
        losses.append(float(engine.losses[0]))
    assert 0 < losses[-1] < losses[0] / 2
    assert all(torch.equal(value, before[name]) for name, value in frozen.items())


def test_the_engine_follows_the_gradient_of_the_objective() -> None:
    """The first update is the learning rate times the slope, by finite differences in float64."""
    data, made = random_data(), recipe(numerics="float64", lr=0.5, batch_size=10)
    own = network_for(made, data).double()
    teacher = _drawn(3, 10, data.classes)
    objective = Distilling([lambda _: teacher], made.training, 3.0)
    engine = Engine(own, made, data, start_of(own), order_seed=1, device=CPU, objective=objective)
    images, _ = next(engine.loader.epoch(0))
    before = {name: value.clone() for name, value in engine.weights().items()}

    def loss_at(bias: Tensor) -> float:
        weights = before | {"fc.bias": bias}
        student = torch.func.functional_call(own, weights, (images.double(),))
        return _slow(student.detach(), [teacher], 3.0)

    trained(engine, 1)
    moved, step = before["fc.bias"] - engine.weights()["fc.bias"], 1e-6
    for index, change in enumerate(moved.tolist()):
        nudge = torch.zeros_like(moved)
        nudge[index] = step
        slope = (loss_at(before["fc.bias"] + nudge) - loss_at(before["fc.bias"] - nudge)) / 2 / step
        assert change == pytest.approx(0.5 * slope, abs=1e-7)
