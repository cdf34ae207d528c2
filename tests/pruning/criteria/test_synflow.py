"""SynFlow against products of absolute matrices, and a plain float64 computation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from pruning.criteria.synflow import SynFlow
from pruning.mask import Mask
from tests.pruning.networks import (
    CONV_NAMES,
    CONV_SHAPE,
    Examples,
    Weights,
    conv_net,
    drawn,
    mlp,
    partly,
)


def synflow(
    network: nn.Module, weights: Weights, mask: Mask, shape: tuple[int, int, int]
) -> dict[str, Tensor]:
    """The scores of masked weights."""
    return SynFlow()(network, mask.apply(weights), mask, Examples([], shape), (0, 0))


def test_product_of_absolute_matrices() -> None:
    """In a linear network a weight's score is |w| times what flows in and what flows out."""
    network, weights = mlp(4, 5, 3, 2)
    names = ["1.weight", "2.weight", "3.weight"]
    a, b, c = (weights[name].double().abs() for name in names)
    ones = torch.ones(4, dtype=torch.float64)
    out = torch.ones(2, dtype=torch.float64)
    expected = [
        a * torch.outer(out @ c @ b, ones),
        b * torch.outer(out @ c, a @ ones),
        c * torch.outer(out, b @ a @ ones),
    ]
    scores = synflow(network, weights, Mask.dense(weights, names), (1, 2, 2))
    for name, values in zip(names, expected, strict=True):
        assert scores[name].dtype == torch.float64
        torch.testing.assert_close(scores[name], values, rtol=1e-12, atol=0)


def test_conservation() -> None:
    """Each layer's scores add up to the same flow (Tanaka et al. 2020, theorem 1), masked too."""
    network, weights = mlp(4, 5, 3, 2)
    mask = partly(weights, ["1.weight", "2.weight", "3.weight"])
    scores = synflow(network, weights, mask, (1, 2, 2))
    sums = [values.sum().item() for values in scores.values()]
    assert sums[0] > 0
    assert sums == pytest.approx([sums[0]] * 3, rel=1e-12)
    assert all((scores[name][~mask[name]] == 0).all() for name in mask)


def test_convolution_and_batch_norm() -> None:
    """All parameters without sign, running statistics as they are, an input of ones, float64."""
    network, weights = conv_net()
    mask = partly(weights, CONV_NAMES)
    double = {name: tensor.double() for name, tensor in mask.apply(weights).items()}
    conv = double["conv.weight"].abs().requires_grad_()
    fc = double["fc.weight"].abs().requires_grad_()
    x = conv2d(torch.ones(1, *CONV_SHAPE, dtype=torch.float64), conv, double["conv.bias"].abs())
    mean, var = (double[f"norm.running_{which}"].view(1, -1, 1, 1) for which in ("mean", "var"))
    gamma, beta = (double[f"norm.{which}"].abs().view(1, -1, 1, 1) for which in ("weight", "bias"))
    x = torch.tanh((x - mean) / (var + 1e-5).sqrt() * gamma + beta)
    (x.mean((2, 3)) @ fc.t() + double["fc.bias"].abs()).sum().backward()  # type: ignore[no-untyped-call]
    scores = synflow(network, weights, mask, CONV_SHAPE)
    for name, leaf in (("conv.weight", conv), ("fc.weight", fc)):
        assert leaf.grad is not None
        expected = (leaf.grad * leaf.detach()).abs()
        assert expected.max() > 0
        torch.testing.assert_close(scores[name], expected, rtol=1e-10, atol=1e-15)


def deep(depth: int) -> nn.Sequential:
    """Many wide linear layers, whose flow is beyond float32."""
    layers = [nn.Linear(30, 30, bias=False) for _ in range(depth)]
    return nn.Sequential(nn.Flatten(), *layers)


def test_deep_networks_are_finite() -> None:
    """A flow that float32 cannot hold is scored, and every layer's adds up to it."""
    network = deep(60)
    weights = drawn(network)
    mask = Mask.dense(weights, list(weights))
    scores = synflow(network, weights, mask, (1, 5, 6))
    sums = torch.stack([values.sum() for values in scores.values()])
    assert sums.isfinite().all()
    assert sums.min() > torch.finfo(torch.float32).max
    torch.testing.assert_close(sums, sums[0].expand(60), rtol=1e-10, atol=0)


def test_buffers_that_no_state_has() -> None:
    """Buffers that are not saved come from the network, in the precision of the flow."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2, bias=False)
            self.register_buffer("scale", torch.full((2,), 3.0), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.fc(x.flatten(1)) * self.scale
            return out

    network = Scaled()
    weights = drawn(network)
    assert list(weights) == ["fc.weight"]
    scores = synflow(network, weights, Mask.dense(weights, ["fc.weight"]), (1, 2, 2))
    torch.testing.assert_close(
        scores["fc.weight"], weights["fc.weight"].double().abs() * 3, rtol=1e-12, atol=0
    )
