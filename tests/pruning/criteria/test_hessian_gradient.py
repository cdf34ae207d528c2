"""w Hg against a Hessian that is written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from pruning.criteria import Examples as Asked
from pruning.criteria.grasp import Grasp
from pruning.criteria.hessian_gradient import HessianGradient
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
    partly,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ASKED = Asked(per_class=3)
NETWORK, DENSE = conv_net(torch.float64)
MASK = partly(DENSE, CONV_NAMES)
WEIGHTS = MASK.apply(DENSE)


EVERYTHING = [name for name, _ in NETWORK.named_parameters()]


def expected(
    data: Batches, *, training: bool, temperature: float, by: Sequence[str] = CONV_NAMES
) -> Weights:
    """The product w Hg, with g by differences and H by torch, entry by entry."""
    slow = Slow(NETWORK, WEIGHTS, by, training, temperature)
    product = slow.hessian(data) @ slow.flat(slow.slope(data))
    return slow.unflattened(slow.flat(WEIGHTS) * product)


def close(found: Weights, wanted: Weights) -> None:
    """Equal, to the last of the digits that differences give."""
    for name, values in wanted.items():
        scale = values.abs().max().item()
        assert scale > 0
        torch.testing.assert_close(found[name], values, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("sizes", [[9], [2, 3, 4]])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_hessian_times_gradient(sizes: list[int], training: bool, temperature: float) -> None:  # noqa: FBT001 - pytest passes it
    """One gradient and one Hessian of all examples and parameters, in whatever batches."""
    data = batches(sizes, CONV_SHAPE, torch.float64)
    criterion = HessianGradient(ASKED, training, temperature)
    scores = criterion(NETWORK, WEIGHTS, MASK, Examples(data, CONV_SHAPE), (0, 0))
    wanted = expected(data, training=training, temperature=temperature, by=EVERYTHING)
    close(scores, {name: wanted[name] for name in MASK})


@pytest.mark.parametrize("kind", [HessianGradient, Grasp])
def test_what_is_scored_does_not_change_the_gradient(kind: type[Grasp | HessianGradient]) -> None:
    """Scores of some layers are what they are among those of all: g is of the whole network."""
    data = Examples(batches([6, 3], CONV_SHAPE, torch.float64), CONV_SHAPE)
    some = Mask({name: MASK[name] for name in CONV_NAMES[:1]})
    one, every = (kind(ASKED)(NETWORK, WEIGHTS, mask, data, (0, 0)) for mask in (some, MASK))
    assert list(one) == list(some)
    assert all(torch.equal(one[name], every[name]) for name in some)


@pytest.mark.parametrize("training", [False, True])
def test_grasp_has_a_hessian_for_each_batch(training: bool) -> None:  # noqa: FBT001 - pytest passes it
    """GraSP is the average over batches of its negative."""
    data = batches([6, 3], CONV_SHAPE, torch.float64)
    scores = Grasp(ASKED, training=training)(
        NETWORK, WEIGHTS, MASK, Examples(data, CONV_SHAPE), (0, 0)
    )
    first, second = (expected([one], training=training, temperature=200.0) for one in data)
    close(scores, {name: -(first[name] * 6 + second[name] * 3) / 9 for name in MASK})


def test_absolute() -> None:
    """The absolute value, of scores of either sign."""
    data = Examples(batches([6, 3], CONV_SHAPE, torch.float64), CONV_SHAPE)
    signed, absolute = (
        HessianGradient(ASKED, absolute=absolute)(NETWORK, WEIGHTS, MASK, data, (0, 0))
        for absolute in (False, True)
    )
    assert any((values < 0).any() for values in signed.values())
    assert all(torch.equal(absolute[name], signed[name].abs()) for name in MASK)
