"""GraSP's Hessian-gradient product against finite differences in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pruning.criteria import Examples as Asked
from pruning.criteria.grasp import Grasp
from pruning.mask import Mask
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


def slopes(
    network: nn.Module, weights: Weights, mask: Mask, x: Tensor, y: Tensor, temperature: float
) -> Weights:
    """The gradient of a module in training mode, by .backward()."""
    model = copy.deepcopy(network).train()
    model.load_state_dict(weights)
    cross_entropy(model(x) / temperature, y).backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {name: gradients[name] for name in mask}  # type: ignore[misc]


def reference(
    network: nn.Module, weights: Weights, mask: Mask, data: Batches, temperature: float
) -> Weights:
    """-w Hg with Hg = (grad(w + eps g) - grad(w - eps g)) / (2 eps), averaged over examples."""
    masked = {n: w * mask[n] if n in mask else w for n, w in weights.items()}
    sums = {name: torch.zeros_like(weights[name]) for name in mask}
    for x, y in data:
        g = slopes(network, masked, mask, x, y, temperature)
        norm = torch.cat([values.flatten() for values in g.values()]).norm().item()
        eps = 1e-4 / norm
        ends = [
            slopes(
                network,
                masked | {name: masked[name] + sign * eps * g[name] for name in mask},
                mask,
                x,
                y,
                temperature,
            )
            for sign in (1, -1)
        ]
        for name in mask:
            product = (ends[0][name] - ends[1][name]) / (2 * eps)
            sums[name] -= masked[name] * product * len(y)
    return {name: values / sum(len(y) for _, y in data) for name, values in sums.items()}


@pytest.mark.parametrize("temperature", [1.0, 200.0])
@pytest.mark.parametrize("which", ["mlp", "conv"])
@pytest.mark.parametrize("masked", [False, True])
def test_finite_differences(temperature: float, which: str, masked: bool) -> None:  # noqa: FBT001 - pytest passes it
    """-w Hg, averaged over batches of unequal size, for linear layers and for batch norm."""
    if which == "mlp":
        network, weights = mlp(4, 5, 3, dtype=torch.float64)
        names, shape = ["1.weight", "2.weight"], (1, 2, 2)
    else:
        network, weights = conv_net(torch.float64)  # type: ignore[assignment]
        names, shape = CONV_NAMES, CONV_SHAPE
    mask = partly(weights, names) if masked else Mask.dense(weights, names)
    data = batches([6, 3], shape, torch.float64)
    scores = Grasp(Asked(per_class=2), temperature=temperature)(
        network, mask.apply(weights), mask, Examples(data, shape), (0, 0)
    )
    expected = reference(network, weights, mask, data, temperature)
    for name in names:
        scale = expected[name].abs().max().item()
        assert scale > 0
        torch.testing.assert_close(scores[name], expected[name], rtol=1e-5, atol=1e-6 * scale)


def test_temperature_is_200() -> None:
    """Unless told otherwise, logits are divided by 200."""
    assert Grasp(Asked(per_class=1)).temperature == 200.0


def test_absolute() -> None:
    """The absolute variant takes the absolute value after averaging, not before."""
    network, weights = conv_net(torch.float64)
    mask = Mask.dense(weights, CONV_NAMES)
    data = Examples(batches([6, 3], CONV_SHAPE, torch.float64), CONV_SHAPE)
    signed = Grasp(Asked(per_class=2))(network, weights, mask, data, (0, 0))
    absolute = Grasp(Asked(per_class=2), absolute=True)(network, weights, mask, data, (0, 0))
    assert any((values < 0).any() for values in signed.values())
    assert all(torch.equal(absolute[name], signed[name].abs()) for name in mask)
