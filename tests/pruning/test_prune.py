"""Pruning as a whole: exact counts, nested rounds, nothing changed on the way."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foundations.draws import generator
from foundations.errors import RunFailedError, UserError
from pruning.allocations import Room, Share
from pruning.allocations.together import Global
from pruning.goal import Goal, goal_of
from pruning.granularity import Granularity, Weights
from pruning.hparams import PruningHparams
from pruning.mask import LayerCount, Mask
from pruning.method import Method
from pruning.rounds import rounds
from pruning.schedule import Geometric
from pruning.scored import scored_by
from tests.pruning.networks import (
    CONV_NAMES,
    CONV_SHAPE,
    Examples,
    batches,
    conv_net,
    copied,
    pruned,
    subject,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Key, ScoringData

STRATEGIES = ["random", "magnitude", "snip2", "grasp2", "graspabs2", "synflow"]


def constant(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    mask: Mask,
    data: ScoringData | None,
    key: Key,
) -> dict[str, Tensor]:
    """A criterion that gives every weight the same score."""
    return {name: torch.ones(shape) for name, shape in mask.shapes.items()}


def examples() -> Examples:
    """Two batches of unequal size."""
    return Examples(batches([4, 2], CONV_SHAPE), CONV_SHAPE)


def goal(total: int, fraction: float) -> Goal:
    """A fraction of all is cut."""
    return goal_of(PruningHparams(prune_fraction=fraction), total, total)


def within(inner: Mask, outer: Mask) -> bool:
    """Whether all that is kept by one is kept by the other."""
    return not any((inner[name] & ~outer[name]).any() for name in outer)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("fraction", [0.0, 0.35, 0.8, 1.0])
@pytest.mark.parametrize("iterations", [1, 3])
def test_exact_count(strategy: str, fraction: float, iterations: int) -> None:
    """Every strategy cuts the count asked for, at fractions 0 and 1 too."""
    network, weights = conv_net()
    mask, report = pruned(
        network,
        weights,
        strategy=strategy,
        prune_fraction=fraction,
        prune_iterations=iterations,
        data=examples(),
        mask=Mask.dense(weights, CONV_NAMES),
    )
    assert mask.total == 54 + 9
    assert mask.total - mask.kept == report["asked"] == report["reached"]
    assert report["reached"] == int(63 * fraction + 0.5)
    assert report["kept"][-1] == report["sparsity"]["kept"] == mask.kept
    assert len(report["kept"]) == iterations


@given(st.integers(0, 100).map(lambda n: n / 100), st.integers(1, 5), st.booleans())
@settings(max_examples=40)
def test_exact_count_with_all_scores_equal(
    fraction: float,
    iterations: int,
    highest: bool,  # noqa: FBT001 - hypothesis passes it
) -> None:
    """With all scores equal, in whatever rounds, the first so many go."""
    network, weights = conv_net()
    method = Method(constant, schedule=Geometric(iterations), highest=highest)
    start = Mask.dense(weights, CONV_NAMES)
    *_, mask = rounds(method, network, weights, start, goal(63, fraction), data=None, seed=0)
    flat = torch.cat([mask[name].flatten() for name in sorted(mask)])
    count = int(63 * fraction + 0.5)
    assert flat.tolist() == [False] * count + [True] * (63 - count)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("highest", [False, True])
def test_nested(strategy: str, highest: bool) -> None:  # noqa: FBT001 - pytest passes it
    """What a round cuts stays cut in all later ones."""
    network, weights = conv_net()
    method = Method(
        scored_by(subject(network, strategy=strategy)), schedule=Geometric(4), highest=highest
    )
    start = Mask.dense(weights, CONV_NAMES)
    masks = [
        start,
        *rounds(method, network, weights, start, goal(63, 0.9), data=examples(), seed=0),
    ]
    assert [mask.kept for mask in masks] == [63, *Geometric(4).kept(goal(63, 0.9))]
    assert all(within(b, a) for a, b in pairwise(masks))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_highest_is_the_mirror(strategy: str) -> None:
    """Cutting the highest half keeps what cutting the lowest half cuts."""
    network, weights = conv_net()
    start = Mask.dense(weights, CONV_NAMES)
    start = Mask({**start, "fc.weight": torch.arange(9).reshape(3, 3) > 2})
    assert start.kept == 60

    def half(*, highest: bool) -> Mask:
        return pruned(
            network,
            weights,
            strategy=strategy,
            prune_fraction=0.5,
            prune_highest=highest,
            data=examples(),
            mask=start,
        ).mask

    low, high = half(highest=False), half(highest=True)
    assert all(torch.equal(low[name] ^ high[name], start[name]) for name in start)


def test_magnitude_by_hand() -> None:
    """The smallest absolute values of all layers together go; biases are never looked at."""
    network, weights = conv_net()
    mask = pruned(
        network,
        weights,
        strategy="magnitude",
        prune_fraction=0.5,
        mask=Mask.dense(weights, CONV_NAMES),
    ).mask
    kept = torch.cat([weights[name].abs()[mask[name]] for name in CONV_NAMES])
    gone = torch.cat([weights[name].abs()[~mask[name]] for name in CONV_NAMES])
    assert len(kept) == 31
    assert kept.min() > gone.max()


def test_iterative_random_draws_anew() -> None:
    """Rounds of random pruning draw anew: they end at another mask than one round does."""
    network, weights = conv_net()
    start = Mask.dense(weights, CONV_NAMES)

    def final(strategy: str, iterations: int) -> Mask:
        return pruned(
            network,
            weights,
            strategy=strategy,
            prune_fraction=0.5,
            prune_iterations=iterations,
            mask=start,
        ).mask

    assert final("random", 4) != final("random", 1)
    assert final("random", 4) == final("random", 4)
    # The control: a criterion that scores alike in each round ends where one round does.
    assert final("magnitude", 4) == final("magnitude", 1)


def test_random_is_keyed_by_the_seed() -> None:
    """Another seed, another mask."""
    network, weights = conv_net()
    start = Mask.dense(weights, CONV_NAMES)
    masks = [
        pruned(network, weights, strategy="random", prune_fraction=0.5, seed=seed, mask=start).mask
        for seed in (0, 0, 1)
    ]
    assert masks[0] == masks[1] != masks[2]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_is_changed(strategy: str) -> None:
    """Weights, buffers, modes, gradients and torch's own generator are as they were, to the bit."""
    network, weights = conv_net()
    network.norm.eval()
    before, own = copied(weights), copied(network.state_dict())
    modes = [module.training for module in network.modules()]
    start = Mask.dense(weights, CONV_NAMES)
    drawn = torch.get_rng_state()
    pruned(
        network,
        weights,
        strategy=strategy,
        prune_fraction=0.5,
        prune_iterations=3,
        data=examples(),
        mask=start,
    )
    assert all(torch.equal(before[name], weights[name]) for name in before)
    assert all(torch.equal(own[name], tensor) for name, tensor in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert not any(tensor.requires_grad or tensor.grad is not None for tensor in weights.values())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert start.kept == start.total


@pytest.mark.parametrize(
    ("strategy", "times"),
    [("random", 0), ("magnitude", 0), ("synflow", 0), ("snip2", 1), ("grasp2", 1)],
)
def test_examples_are_asked_for_once(strategy: str, times: int) -> None:
    """Examples are loaded once for all rounds, and not at all where nobody needs them."""
    network, weights = conv_net()
    data, start = examples(), Mask.dense(weights, CONV_NAMES)
    pruned(
        network,
        weights,
        strategy=strategy,
        prune_fraction=0.5,
        prune_iterations=3,
        data=data,
        mask=start,
    )
    assert data.asked == times


def test_nothing_to_cut_scores_nothing() -> None:
    """A fraction of 0 asks for no examples."""
    network, weights = conv_net()
    data, start = examples(), Mask.dense(weights, CONV_NAMES)
    mask = pruned(
        network, weights, strategy="snip2", prune_fraction=0.0, data=data, mask=start
    ).mask
    assert data.asked == 0
    assert mask == start


def test_without_data() -> None:
    """A criterion that needs data says so."""
    network, weights = conv_net()
    start = Mask.dense(weights, CONV_NAMES)
    for strategy in ("snip2", "grasp2", "synflow"):
        with pytest.raises(ValueError, match="needs data"):
            pruned(network, weights, strategy=strategy, prune_fraction=0.5, mask=start)


def test_fraction_of_what_a_mask_keeps() -> None:
    """With a mask to begin from, the fraction is of what it keeps, and what it cuts stays cut."""
    network, weights = conv_net()
    weights["fc.weight"][0] = 100.0
    keep = torch.ones(3, 3, dtype=torch.bool)
    keep[0] = False
    start = Mask({"fc.weight": keep})
    mask = pruned(network, weights, strategy="magnitude", prune_fraction=0.5, mask=start).mask
    assert mask.kept == 3
    assert within(mask, start)


def test_scores_are_of_masked_weights() -> None:
    """What was cut in earlier rounds is zero when the next is scored."""
    network, weights = conv_net()
    seen: list[tuple[Mapping[str, Tensor], Mask]] = []

    def criterion(
        network: nn.Module,
        weights: Mapping[str, Tensor],
        mask: Mask,
        data: ScoringData | None,
        key: Key,
    ) -> dict[str, Tensor]:
        seen.append((weights, mask))
        return {name: weights[name].abs() for name in mask}

    start = Mask.dense(weights, CONV_NAMES)
    method = Method(criterion, schedule=Geometric(2))
    list(rounds(method, network, weights, start, goal(63, 0.5), data=None, seed=0))
    masked, mask = seen[1]
    assert mask.kept == 45
    assert all((masked[name][~mask[name]] == 0).all() for name in mask)
    assert torch.equal(masked["fc.bias"], weights["fc.bias"])


def test_report() -> None:
    """The report is plain data with what was asked and reached, and layers cut to nothing."""
    network, weights = conv_net()
    weights["fc.weight"] *= 1e-6
    start = Mask.dense(weights, CONV_NAMES)
    mask, report = pruned(
        network, weights, strategy="magnitude", prune_fraction=0.5, prune_iterations=2, mask=start
    )
    assert json.loads(json.dumps(report)) == report
    assert report == {
        "strategy": "magnitude",
        "granularity": "weights",
        "fraction": 0.5,
        "fraction_of": "remaining",
        "iterations": 2,
        "highest": False,
        "asked": 32,
        "reached": 32,
        "total": 63,
        "reached_fractions": {"remaining": 32 / 63, "all": 32 / 63, "kept": 31 / 63},
        "kept": [45, 31],
        "sparsity": {
            "layers": [
                {"layer": "conv.weight", "shape": [3, 2, 3, 3], "total": 54, "kept": 31},
                {"layer": "fc.weight", "shape": [3, 3], "total": 9, "kept": 0},
            ],
            "total": 63,
            "kept": 31,
            "cut_to_nothing": ["fc.weight"],
        },
    }
    assert mask.kept == 31


def test_all_prunable_weights_by_default() -> None:
    """Without a mask, every convolution's and linear layer's weight takes part."""
    network, weights = conv_net()
    assert pruned(network, weights, strategy="magnitude", prune_fraction=0.5).mask.total == 63


def test_nan_scores() -> None:
    """A NaN weight is no weight to rank: the layer is named."""
    network, weights = conv_net()
    weights["fc.weight"][1, 1] = float("nan")
    start = Mask.dense(weights, CONV_NAMES)
    with pytest.raises(RunFailedError, match=r"'fc\.weight'"):
        pruned(network, weights, strategy="magnitude", prune_fraction=0.5, mask=start)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"strategy": "magnitud"}, "Did you mean 'magnitude'"),
        ({"prune_fraction": 1.5}, "prune_fraction"),
        ({"prune_iterations": 0}, "prune_iterations"),
        ({"mask": Mask({"other": torch.ones(2, dtype=torch.bool)})}, "another network"),
        ({"mask": Mask({"fc.weight": torch.ones(2, dtype=torch.bool)})}, "another network"),
    ],
)
def test_mistakes(settings: dict[str, object], match: str) -> None:
    """A mistake gets a clear message."""
    network, weights = conv_net()
    usual = {
        "strategy": "magnitude",
        "prune_fraction": 0.5,
        "mask": Mask.dense(weights, CONV_NAMES),
    }
    with pytest.raises(UserError, match=match):
        pruned(network, weights, **(usual | settings))  # type: ignore[arg-type]


def test_shares_compete_apart() -> None:
    """An allocation of several shares is met share by share, and scored once."""
    network, weights = conv_net()

    class EachHalf:
        def shares(self, layers: Mapping[str, Room], kept: int) -> list[Share]:
            assert (kept, layers["fc.weight"]) == (31, Room(9, 9))
            return [Share(("conv.weight",), 27), Share(("fc.weight",), 4)]

    start = Mask.dense(weights, CONV_NAMES)
    method = Method(scored_by(subject(network)), allocation=EachHalf())
    (mask,) = rounds(method, network, weights, start, goal(63, 0.5), data=None, seed=0)
    assert mask.layers == {"conv.weight": LayerCount(27, 54), "fc.weight": LayerCount(4, 9)}


def test_granularity_of_rows() -> None:
    """A granularity coarser than weights needs no change elsewhere: here, rows by their sum."""
    network, weights = conv_net()

    class Rows(Granularity):
        def units(self, mask: Mask) -> Mask:
            return Mask({name: keep.flatten(1).any(1) for name, keep in mask.items()})

        def scored(self, mask: Mask) -> list[str]:
            return list(mask)

        def scores(self, scores: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
            return {name: scores[name].flatten(1).sum(1) for name in mask}

        def mask(self, units: Mask, mask: Mask) -> Mask:
            return Mask(
                {
                    name: keep & units[name].reshape(-1, *[1] * (keep.dim() - 1))
                    for name, keep in mask.items()
                }
            )

    start = Mask.dense(weights, CONV_NAMES)
    method = Method(scored_by(subject(network)), granularity=Rows())
    (mask,) = rounds(method, network, weights, start, goal(6, 0.5), data=None, seed=0)
    sums = {name: weights[name].abs().flatten(1).sum(1) for name in CONV_NAMES}
    lowest = torch.cat([sums[name] for name in CONV_NAMES]).argsort()[:3].tolist()
    alive = torch.cat([mask[name].flatten(1).all(1) for name in CONV_NAMES])
    assert sorted((~alive).nonzero().squeeze(1).tolist()) == sorted(lowest)
    assert method.granularity.units(mask).kept == 3


def test_global_and_weights_are_what_they_are() -> None:
    """One share of all layers; units that are the weights themselves."""
    layers = {"b": Room(2, 2), "a": Room(3, 4)}
    assert Global().shares(layers, 4) == [Share(("a", "b"), 4)]
    mask = Mask({"w": torch.rand(5, 1, generator=generator(0)) > 0.5})
    assert Weights().units(mask) == Weights().mask(mask, mask) == mask


@pytest.mark.parametrize("granularity", ["weights", "kernels", "blocks"])
def test_ignoring_every_layer_is_refused(granularity: str) -> None:
    """What is called pruned is not dense."""
    network, weights = conv_net()
    with pytest.raises(UserError, match=r"layers_to_ignore=conv,fc\.weight is every layer"):
        pruned(network, weights, granularity=granularity, layers_to_ignore=("conv", "fc.weight"))
