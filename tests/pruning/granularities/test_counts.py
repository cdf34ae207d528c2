"""Every granularity and coupling cuts what was asked for, round within round."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from foundations.errors import RunFailedError, UserError
from pruning import reduction
from pruning.counts import count_of
from pruning.granularities.n_m import NM
from pruning.mask import Mask
from pruning.prune import prune
from tests.pruning.granularities.examples import (
    dense,
    granularity_of,
    made,
    pruned,
    random_scores,
    subject_of,
)

GRANULARITIES = [
    ("weights", "grouped"),
    ("kernels", "grouped"),
    ("channels", "grouped"),
    ("channels", "inner"),
    ("channels", "independent"),
    ("nodes", "grouped"),
    ("gates", "grouped"),
    ("blocks", "grouped"),
]
"""All but N:M, of which n and m say how many are cut."""

NETWORK = {"nodes": "chain"}


def of(granularity: str, coupling: str) -> dict[str, Any]:
    """The settings that choose it."""
    return {"granularity": granularity, "coupling": coupling}


@pytest.mark.parametrize(("granularity", "coupling"), GRANULARITIES)
@pytest.mark.parametrize("strategy", ["random", "magnitude"])
@pytest.mark.parametrize("fraction", [0.0, 0.37, 1.0])
def test_exact_count(granularity: str, coupling: str, strategy: str, fraction: float) -> None:
    """As many units are cut as were asked for, of all there are, and counted again they are."""
    network, weights = made(NETWORK.get(granularity, "option_b"))
    settings = of(granularity, coupling) | {"strategy": strategy, "prune_fraction": fraction}
    mask, report = pruned(network, weights, **settings)
    units = granularity_of(network, granularity, coupling=coupling).units(mask)
    assert report["reached"] == report["asked"] == count_of(report["total"], fraction)
    assert (units.kept, units.total) == (report["kept"][-1], report["total"])


@pytest.mark.parametrize(("granularity", "coupling"), GRANULARITIES)
def test_rounds_are_nested(granularity: str, coupling: str) -> None:
    """What a round has cut stays cut, of weights and of what goes with them."""
    network, weights = made(NETWORK.get(granularity, "option_b"))
    settings = of(granularity, coupling) | {"strategy": "random", "prune_fraction": 0.3}
    masks = [dense(network, weights)]
    for seed in range(3):
        subject = subject_of(network, **settings)
        masks.append(prune(subject, weights, seed=seed, mask=masks[-1]).mask)
    for before, after in pairwise(masks):
        assert set(before) <= set(after)
        assert all((after[name] <= before[name]).all() for name in before)
        assert after.kept < after.total


@pytest.mark.parametrize(("granularity", "coupling"), GRANULARITIES)
def test_the_first_go_where_all_scores_are_equal(granularity: str, coupling: str) -> None:
    """Of equal scores, those first in position."""
    network, weights = made(NETWORK.get(granularity, "option_b"))
    equal = {n: torch.ones_like(w) if w.dim() > 1 else w for n, w in weights.items()}
    settings = of(granularity, coupling) | {"strategy": "magnitude", "prune_fraction": 0.4}
    mask, report = pruned(network, equal, **settings)
    units = granularity_of(network, granularity, coupling=coupling).units(mask)
    flat = torch.cat([kept.flatten() for kept in units.values()])
    assert flat.tolist() == [False] * report["asked"] + [True] * (len(flat) - report["asked"])


@pytest.mark.parametrize(("granularity", "coupling"), [*GRANULARITIES, ("n_m", "grouped")])
def test_scores_that_are_not_numbers_are_refused(granularity: str, coupling: str) -> None:
    """One weight that is not a number is enough."""
    network, weights = made(NETWORK.get(granularity, "option_b"))
    for name in subject_of(network).prunable:
        weights[name].flatten()[-1] = float("nan")
    fraction = 0.5 if granularity == "n_m" else 0.3
    settings = of(granularity, coupling) | {"strategy": "magnitude", "prune_fraction": fraction}
    with pytest.raises(RunFailedError):
        pruned(network, weights, **settings)


@pytest.mark.parametrize(("granularity", "coupling"), [*GRANULARITIES, ("n_m", "grouped")])
def test_ignored_layers_are_left_whole(granularity: str, coupling: str) -> None:
    """So is whatever would go with a channel of theirs, even where all is cut."""
    network, weights = made("chain" if granularity == "nodes" else "option_b")
    ignored = "body.3" if granularity == "nodes" else "blocks.0"
    fraction = 0.5 if granularity == "n_m" else 1.0
    settings = of(granularity, coupling) | {"strategy": "magnitude", "prune_fraction": fraction}
    mask, _ = pruned(network, weights, layers_to_ignore=(ignored,), **settings)
    left = [name for name in mask if name.removeprefix("gate:").startswith(ignored)]
    assert left
    assert all(mask[name].all() for name in left)
    assert mask.kept < mask.total


def test_a_layer_to_ignore_that_there_is_not() -> None:
    """It is refused whatever is cut as one."""
    network, weights = made("option_b")
    with pytest.raises(UserError, match="layer to ignore"):
        pruned(network, weights, granularity="channels", layers_to_ignore=("blok",))


@pytest.mark.parametrize(
    ("network", "granularity"), [("chain", "gates"), ("option_b", "channels"), ("chain", "kernels")]
)
def test_highest_is_the_mirror(network: str, granularity: str) -> None:
    """Cutting the highest half keeps what cutting the lowest half cuts."""
    net, weights = made(network)
    half: dict[str, Any] = {"granularity": granularity, "prune_fraction": 0.5}
    units = granularity_of(net, granularity).units
    low, high = (
        units(pruned(net, weights, prune_highest=highest, **half).mask) for highest in (False, True)
    )
    differing = sum(int((low[name] ^ high[name]).sum()) for name in low)
    assert differing >= low.total - 1


@pytest.mark.parametrize("granularity", ["weights", "n_m"])
def test_single_weights_have_nothing_to_reduce(granularity: str) -> None:
    """A reduction is refused there."""
    network, weights = made("chain")
    with pytest.raises(UserError, match="reduction"):
        pruned(network, weights, granularity=granularity, reduction="l2", prune_fraction=0.5)


def neighbours(kept: torch.Tensor, m: int) -> list[torch.Tensor]:
    """The groups of a weight, by loops."""
    flat = kept.reshape(*kept.shape[:2], -1)
    rows = [flat[out, :, place] for out in range(len(flat)) for place in range(flat.shape[2])]
    return [row[at : at + m] for row in rows for at in range(0, len(row), m)]


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 2), (1, 3), (4, 4)])
@pytest.mark.parametrize("highest", [False, True])
def test_of_m_neighbours_n_are_kept(n: int, m: int, highest: bool) -> None:  # noqa: FBT001 - pytest passes it
    """The best n of every group; of the smaller last ones, as many as they have up to n."""
    network, weights = made("option_b")
    settings: dict[str, Any] = {"granularity": "n_m", "n_m": (n, m), "prune_fraction": 0.8}
    mask, report = pruned(network, weights, prune_highest=highest, **settings)
    for name, kept in mask.items():
        values = neighbours(weights[name].abs(), m)
        for own, scores in zip(neighbours(kept, m), values, strict=True):
            best = scores.argsort(descending=not highest)[:n]
            assert own.nonzero().flatten().tolist() == sorted(best.tolist())
    assert report["fraction"] is None
    assert report["kept"] == [mask.kept]


def test_groups_that_have_lost_enough_lose_nothing() -> None:
    """What is cut already counts, and what is left of a group is compared among itself."""
    granularity = NM(2, 4)
    kept = torch.tensor([[True, False, True, False, True, True, True, False]])
    mask = Mask({"w": kept})
    scores = {"w": torch.tensor([[5.0, 0, 6, 0, 3, 1, 2, 0]])}
    margins = granularity.compared(scores, mask)["w"]
    assert ((margins < 0) & kept).tolist() == [[False] * 5 + [True] + [False] * 2]
    assert granularity.goal(mask) == 4


@pytest.mark.parametrize(
    "other",
    [
        {"prune_fraction": 0.3},
        {"prune_iterations": 2},
        {"allocation": "uniform"},
        {"minimum_kept": 1},
        {"selection": "published_threshold"},
    ],
)
def test_what_contradicts_n_and_m(other: dict[str, Any]) -> None:
    """It is refused."""
    network, weights = made("chain")
    with pytest.raises(UserError, match="2 of every 4"):
        pruned(network, weights, granularity="n_m", **other)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (4, 4), (3, 100)])
def test_blocks(shape: tuple[int, int]) -> None:
    """Scores and masks of blocks are those of slices of the matrix, smaller at the borders."""
    network, weights = made("chain")
    granularity = granularity_of(network, "blocks", block_shape=shape, reduction="l2")
    start = dense(network, weights)
    scores = granularity.scores(weights, start)
    kept = Mask({name: value > value.median() for name, value in scores.items()})
    mask = granularity.mask(kept, start)
    rows, columns = shape
    for name, value in scores.items():
        matrix, left = weights[name].flatten(1), mask[name].flatten(1)
        assert value.shape == (-(-len(matrix) // rows), -(-matrix.shape[1] // columns))
        for i, j in torch.cartesian_prod(*(torch.arange(size) for size in value.shape)).tolist():
            part = slice(i * rows, (i + 1) * rows), slice(j * columns, (j + 1) * columns)
            torch.testing.assert_close(value[i, j], matrix[part].norm())
            assert left[part].all() if kept[name][i, j] else not left[part].any()
    assert granularity.units(mask) == kept


def test_kernels() -> None:
    """A kernel's score is that of its weights; linear layers have none and are left whole."""
    network, weights = made("chain")
    mask, report = pruned(network, weights, granularity="kernels", prune_fraction=0.5)
    convolutions = ["body.0.weight", "body.3.weight"]
    assert report["total"] == 3 * 5 + 5 * 4
    assert all(mask[name].all() for name in mask if name not in convolutions)
    means = {name: weights[name].abs().mean((2, 3)) for name in convolutions}
    last = sorted(torch.cat([mean.flatten() for mean in means.values()]).tolist())[17]
    for name, mean in means.items():
        assert torch.equal(mask[name], (mean > last)[:, :, None, None].expand_as(mask[name]))


@pytest.mark.parametrize("reduction", ["mean", "sum", "l2", "max", "abs_sum", "signed_sum"])
@pytest.mark.parametrize("granularity", ["kernels", "channels", "nodes", "gates", "blocks"])
def test_what_is_cut_so_far_counts_as_zero(granularity: str, reduction: str) -> None:
    """Whatever its score is, that of its unit is the same."""
    network, weights = made("chain")
    chosen = granularity_of(network, granularity, reduction=reduction)
    start = dense(network, weights)
    some = Mask({name: scores > 0 for name, scores in random_scores(start).items()})
    wild = {n: torch.where(some[n], weights[n], torch.nan) for n in some}
    zero = {n: torch.where(some[n], weights[n], 0.0) for n in some}
    found, expected = chosen.scores(wild, some), chosen.scores(zero, start)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert all(values.isfinite().all() for values in found.values())


def test_strategy_says_how_scores_are_reduced_unless_a_flag_does() -> None:
    """GraSP's scores are summed with their signs."""
    network, _ = made("chain")

    def used(**settings: Any) -> object:
        return reduction.reduction_of(subject_of(network, granularity="kernels", **settings))

    assert used(strategy="grasp2") is reduction.signed_sum
    assert used(strategy="mean_mag") is used(strategy="magnitude") is reduction.mean
    assert used(strategy="grasp2", reduction="l2") is reduction.l2


def test_no_units() -> None:
    """A network without any is refused; the granularity that it has units of is named."""
    network, weights = made("option_b")
    with pytest.raises(UserError, match=r"finds nothing .* --granularity=channels takes conv"):
        pruned(network, weights, granularity="nodes")
