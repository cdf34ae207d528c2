"""SNIP against gradients worked out by hand and by differences."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pruning.criteria import Examples as Asked
from pruning.criteria.snip import Snip
from pruning.mask import Mask
from tests.pruning.criteria.reference import Slow
from tests.pruning.networks import (
    CONV_NAMES,
    CONV_SHAPE,
    Batches,
    Examples,
    Weights,
    batches,
    conv_net,
    mlp,
    partly,
)

SHAPE = (1, 1, 4)


def snip(network: nn.Module, weights: Weights, mask: Mask, data: Batches) -> dict[str, Tensor]:
    """The scores of masked weights."""
    _, *shape = data[0][0].shape
    examples = Examples(data, (shape[0], shape[1], shape[2]))
    return Snip(Asked(per_class=2))(network, mask.apply(weights), mask, examples, (0, 0))


def test_linear_layer_by_hand() -> None:
    """Of one linear layer the gradient is known: (softmax - onehot)' x / n, batch by batch."""
    network, weights = mlp(4, 3, dtype=torch.float64)
    data = batches([5, 2], SHAPE, torch.float64)
    w = weights["1.weight"]
    expected = torch.zeros_like(w)
    for x, y in data:
        flat = x.flatten(1)
        error = (flat @ w.t()).softmax(1) - torch.eye(3, dtype=torch.float64)[y]
        expected += (w * (error.t() @ flat / len(y))).abs() * len(y) / 7
    found = snip(network, weights, Mask.dense(weights, ["1.weight"]), data)["1.weight"]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_absolute_value_is_taken_by_batch() -> None:
    """The control: the absolute value of the mean gradient is another score."""
    network, weights = mlp(4, 3, dtype=torch.float64)
    mask = Mask.dense(weights, ["1.weight"])
    apart = batches([3, 3], SHAPE, torch.float64)
    together = [(torch.cat([x for x, _ in apart]), torch.cat([y for _, y in apart]))]
    by_batch = snip(network, weights, mask, apart)["1.weight"]
    at_once = snip(network, weights, mask, together)["1.weight"]
    assert (by_batch >= at_once - 1e-12).all()
    assert (by_batch > at_once + 1e-3).any()


def module_reference(network: nn.Module, weights: Weights, mask: Mask, data: Batches) -> Weights:
    """SNIP as written with modules: a trained copy, .backward(), .grad."""
    sums = {name: torch.zeros_like(weights[name]) for name in mask}
    for x, y in data:
        model = copy.deepcopy(network).train()
        model.load_state_dict({n: w * mask[n] if n in mask else w for n, w in weights.items()})
        cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            if name in mask:
                assert parameter.grad is not None
                sums[name] += (parameter.detach() * parameter.grad).abs() * len(y)
    return {name: values / sum(len(y) for _, y in data) for name, values in sums.items()}


def test_convolution_and_batch_norm() -> None:
    """With convolutions and batch norm, the scores are those of a module in training mode."""
    network, weights = conv_net(torch.float64)
    data = batches([6, 3], CONV_SHAPE, torch.float64)
    mask = partly(weights, CONV_NAMES)
    found = snip(network, weights, mask, data)
    expected = module_reference(network, weights, mask, data)
    for name in mask:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-10, atol=1e-14)


def test_batch_statistics() -> None:
    """Running statistics have no say in the scores."""
    network, weights = conv_net()
    data = batches([6], CONV_SHAPE)
    mask = Mask.dense(weights, CONV_NAMES)
    other = weights | {"norm.running_mean": torch.full((3,), 9.0)}
    first, second = snip(network, weights, mask, data), snip(network, other, mask, data)
    assert all(torch.equal(first[name], second[name]) for name in mask)


def test_finite_differences() -> None:
    """A weight's score is the slope of the loss as the weight is scaled."""
    network, weights = conv_net(torch.float64)
    ((x, y),) = data = batches([6], CONV_SHAPE, torch.float64)
    found = snip(network, weights, Mask.dense(weights, CONV_NAMES), data)
    for name, index in (("conv.weight", (1, 0, 2, 1)), ("fc.weight", (2, 1))):
        losses = []
        for scale in (1 + 1e-5, 1 - 1e-5):
            model = copy.deepcopy(network).train()
            moved = weights[name].clone()
            moved[index] *= scale
            model.load_state_dict(weights | {name: moved})
            losses.append(cross_entropy(model(x), y).item())
        slope = abs(losses[0] - losses[1]) / 2e-5
        assert abs(found[name][index].item() - slope) < 1e-7


def test_dropout_is_keyed() -> None:
    """A network that draws for itself gives one score for one key, and leaves torch's draws be."""
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 3))
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    mask = Mask.dense(weights, ["2.weight"])
    data = Examples(batches([6], SHAPE), SHAPE)
    before = torch.get_rng_state()
    scores = [
        Snip(Asked(per_class=2))(network, weights, mask, data, (0, n))["2.weight"]
        for n in (0, 0, 1)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


def test_weight_that_is_not_used() -> None:
    """A weight that the loss does not depend on scores zero."""
    network = nn.ModuleDict({"used": nn.Linear(4, 3), "unused": nn.Linear(4, 3)})

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = network

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.parts["used"](x.flatten(1))
            return out

    half = Half()
    weights = {name: tensor.clone() for name, tensor in half.state_dict().items()}
    names = ["parts.used.weight", "parts.unused.weight"]
    scores = snip(half, weights, Mask.dense(weights, names), batches([3], SHAPE))
    assert scores["parts.unused.weight"].count_nonzero() == 0
    assert scores["parts.used.weight"].count_nonzero() == 12


def test_under_no_grad() -> None:
    """Whether the caller has gradients off does not matter."""
    network, weights = conv_net()
    mask, data = Mask.dense(weights, CONV_NAMES), batches([6], CONV_SHAPE)
    with torch.no_grad():
        quiet = snip(network, weights, mask, data)
    loud = snip(network, weights, mask, data)
    assert all(torch.equal(quiet[name], loud[name]) for name in mask)
    assert not any(values.requires_grad for values in loud.values())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("sizes", [[9], [6, 3]])
def test_per_example(sizes: list[int], training: bool) -> None:  # noqa: FBT001 - pytest passes it
    """|w g| of each example, averaged; in training mode, examples share their statistics."""
    network, weights = conv_net(torch.float64)
    mask = partly(weights, CONV_NAMES)
    masked = mask.apply(weights)
    data = Examples(batches(sizes, CONV_SHAPE, torch.float64), CONV_SHAPE)
    criterion = Snip(Asked(per_class=3), training=training, per_example=True)
    scores = criterion(network, masked, mask, data, (0, 0))
    slow = Slow(network, masked, CONV_NAMES, training)
    parts = [slow.slopes(x, y) for x, y in data.loaded]
    for name, values in scores.items():
        slopes = torch.cat([part[name] for part in parts])
        expected = (masked[name] * slopes).abs().mean(0)
        torch.testing.assert_close(values, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_evaluation_mode_and_temperature(temperature: float) -> None:
    """Both can be set: then the running statistics count, and logits are divided."""
    network, weights = conv_net(torch.float64)
    data = batches([6], CONV_SHAPE, torch.float64)
    criterion = Snip(Asked(per_class=2), training=False, temperature=temperature)
    mask = Mask.dense(weights, CONV_NAMES)
    scores = criterion(network, weights, mask, Examples(data, CONV_SHAPE), (0, 0))
    slopes = Slow(network, weights, CONV_NAMES, training=False, temperature=temperature).slope(data)
    for name, values in scores.items():
        expected = (weights[name] * slopes[name]).abs()
        torch.testing.assert_close(values, expected, rtol=1e-6, atol=1e-8)
