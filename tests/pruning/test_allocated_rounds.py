"""Pruning with each allocation, whole: counts, nesting, ties, minima, ignored layers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foundations.errors import RunFailedError, UserError
from pruning.goal import goal_of
from pruning.mask import Mask
from pruning.method import method_of
from pruning.prune import prune
from pruning.rounds import rounds
from tests.pruning.networks import partly, pruned, residual_net, subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.criteria import Key, ScoringData
    from pruning.subject import Subject

NETWORK, WEIGHTS = residual_net()
LAYERS = "block.conv1 block.conv2 fc stem wide.conv1 wide.conv2 wide.shortcut"
NAMES = [f"{layer}.weight" for layer in LAYERS.split()]
TOTAL = sum(WEIGHTS[name].numel() for name in NAMES)

DIVIDING: dict[str, dict[str, Any]] = {
    "global": {},
    "uniform": {},
    "erk": {},
    "groups": {"layer_groups": "stem+fc;block;wide"},
    "stages": {},
}
"""Allocations that divide whatever is asked for, and their settings."""

FRACTIONS = st.integers(0, 100).map(lambda n: n / 100)
SCHEDULES = st.sampled_from(["geometric", "linear", "cubic", "gradient_flow"])


def asked(allocation: str, **others: Any) -> Subject:
    """The network, to be pruned with an allocation."""
    return subject(NETWORK, allocation=allocation, **DIVIDING[allocation], **others)


def matching(mask: Mask, **others: Any) -> Subject:
    """The network, to be pruned to the counts of a mask."""
    return replace(subject(NETWORK, allocation="matched", **others), matched=mask)


def within(inner: Mask, outer: Mask) -> bool:
    """Whether all that is kept by one is kept by the other."""
    return not any((inner[name] & ~outer[name]).any() for name in outer)


def constant(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    mask: Mask,
    data: ScoringData | None,
    key: Key,
) -> dict[str, Tensor]:
    """A criterion that gives every weight the same score."""
    return {name: torch.ones(shape) for name, shape in mask.shapes.items()}


@given(st.sampled_from(list(DIVIDING)), FRACTIONS, st.integers(1, 4), SCHEDULES, st.booleans())
@settings(max_examples=60, deadline=None)
def test_exact_and_nested(
    allocation: str,
    fraction: float,
    iterations: int,
    schedule: str,
    pruned_already: bool,  # noqa: FBT001 - hypothesis passes it
) -> None:
    """Each round is within the one before, and keeps exactly what the schedule says."""
    start = partly(WEIGHTS, NAMES) if pruned_already else Mask.dense(WEIGHTS, NAMES)
    whole = asked(
        allocation, prune_fraction=fraction, prune_iterations=iterations, schedule=schedule
    )
    method, goal = method_of(whole), goal_of(whole.hparams, start.kept, TOTAL)
    masks = list(rounds(method, NETWORK, WEIGHTS, start, goal, data=None, seed=0))
    assert tuple(mask.kept for mask in masks) == method.schedule.kept(goal)
    assert masks[-1].kept == start.kept - int(start.kept * round(100 * fraction) / 100 + 0.5)
    assert all(within(b, a) for a, b in pairwise([start, *masks]))


@pytest.mark.parametrize("allocation", DIVIDING)
@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_nothing_and_everything(allocation: str, fraction: float) -> None:
    """A fraction of 0 cuts nothing, one of 1 everything, which the report says of each layer."""
    mask, report = prune(asked(allocation, prune_fraction=fraction), WEIGHTS)
    assert mask.kept == (0 if fraction else TOTAL)
    assert report["sparsity"]["cut_to_nothing"] == (NAMES if fraction else [])


@pytest.mark.parametrize("allocation", DIVIDING)
@pytest.mark.parametrize("highest", [False, True])
def test_shares_compete(allocation: str, highest: bool) -> None:  # noqa: FBT001 - pytest passes it
    """In each share of the layers, nothing that is cut is better than what is kept."""
    whole = asked(allocation, prune_highest=highest, prune_fraction=0.6)
    mask = prune(whole, WEIGHTS).mask
    method = method_of(whole)
    rooms = method.minimum.rooms(Mask.dense(WEIGHTS, NAMES))
    for share in method.cutting(Mask.dense(WEIGHTS, NAMES)).allocation.shares(rooms, mask.kept):
        kept = torch.cat([WEIGHTS[name].abs()[mask[name]] for name in share.names])
        gone = torch.cat([WEIGHTS[name].abs()[~mask[name]] for name in share.names])
        assert len(kept) == share.kept
        worst, rest = (gone, kept) if highest else (kept, gone)
        assert not len(gone) or worst.min() > rest.max()


@pytest.mark.parametrize("allocation", DIVIDING)
@pytest.mark.parametrize("highest", [False, True])
def test_all_scores_equal(allocation: str, highest: bool) -> None:  # noqa: FBT001 - pytest passes it
    """Of equal scores the first in position go, in each share."""
    method = replace(method_of(asked(allocation)), criterion=constant, highest=highest)
    start = Mask.dense(WEIGHTS, NAMES)
    goal = goal_of(asked(allocation, prune_fraction=0.55).hparams, TOTAL, TOTAL)
    (mask,) = rounds(method, NETWORK, WEIGHTS, start, goal, data=None, seed=0)
    assert mask.kept == goal.after
    for share in method.cutting(start).allocation.shares(method.minimum.rooms(start), goal.after):
        flat = torch.cat([mask[name].flatten() for name in share.names]).tolist()
        assert flat == [False] * (len(flat) - share.kept) + [True] * share.kept


@pytest.mark.parametrize("allocation", DIVIDING)
@pytest.mark.parametrize("name", ["stem.weight", "wide.conv2.weight", "fc.weight"])
def test_nan(allocation: str, name: str) -> None:
    """A score that is not a number is refused, whatever layer it is in."""
    weights = {**WEIGHTS, name: WEIGHTS[name].clone()}
    weights[name].view(-1)[1] = torch.nan
    with pytest.raises(RunFailedError, match=name):
        prune(asked(allocation), weights)


@pytest.mark.parametrize("allocation", ["global", "uniform", "erk", "stages"])
def test_ignored_layers(allocation: str) -> None:
    """Ignored layers are whole, neither counted nor scored; the fraction is of the others."""
    weights = {**WEIGHTS, "fc.weight": torch.full_like(WEIGHTS["fc.weight"], torch.nan)}
    ignored = ("fc.weight", "wide")
    mask, report = prune(
        asked(allocation, layers_to_ignore=ignored, prune_iterations=2, prune_fraction=0.9), weights
    )
    others = [name for name in NAMES if not name.startswith(("fc", "wide"))]
    assert all(mask[name].all() for name in NAMES if name not in others)
    total = sum(WEIGHTS[name].numel() for name in others)
    assert report["total"] == total
    assert report["reached"] == sum(int((~mask[name]).sum()) for name in others)
    assert report["reached"] == int(0.9 * total + 0.5)


def test_ignored_layer_unknown() -> None:
    """A layer to ignore that there is not is a mistake."""
    with pytest.raises(UserError, match=r"layer to ignore.*'wide\.conv3'"):
        prune(asked("global", layers_to_ignore=("wide.conv3",)), WEIGHTS)


@given(st.sampled_from(list(DIVIDING)), FRACTIONS, st.integers(0, 12), FRACTIONS, st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_minimum(
    allocation: str, fraction: float, count: int, part: float, iterations: int
) -> None:
    """Every layer keeps its minimum, or all it has left; the total is exact; else it is refused."""
    start = partly(WEIGHTS, NAMES)
    whole = asked(
        allocation,
        prune_fraction=fraction,
        minimum_kept=count,
        minimum_fraction=part,
        prune_iterations=iterations,
    )
    left = start.kept - int(start.kept * round(100 * fraction) / 100 + 0.5)
    least = {
        name: min(kept, max(count, -(-total * round(100 * part) // 100)))
        for name, (kept, total) in start.layers.items()
    }
    if sum(least.values()) > left and left < start.kept:
        with pytest.raises(UserError, match="Lower the minimum"):
            prune(whole, WEIGHTS, mask=start)
        return
    mask = prune(whole, WEIGHTS, mask=start).mask
    assert mask.kept == left
    assert all(layer.kept >= least[name] for name, layer in mask.layers.items())


def test_minimum_keeps_the_best() -> None:
    """What a layer keeps by the minimum is its best; all else is as without one."""
    weights = {**WEIGHTS, "fc.weight": WEIGHTS["fc.weight"] * 1e-6}
    free = pruned(NETWORK, weights, prune_fraction=0.9).mask
    mask, report = pruned(NETWORK, weights, prune_fraction=0.9, minimum_kept=2)
    assert free["fc.weight"].sum() == 0
    best = weights["fc.weight"].abs().flatten().topk(2).values
    kept = weights["fc.weight"].abs()[mask["fc.weight"]]
    assert torch.equal(kept.sort(descending=True).values, best)
    assert report["sparsity"]["cut_to_nothing"] == []
    assert mask.kept == free.kept
    few = {name: max(0, 2 - kept) for name, (kept, _) in free.layers.items()}
    assert {name: int((mask[name] & ~free[name]).sum()) for name in NAMES} == few


@pytest.mark.parametrize("iterations", [1, 3])
def test_matched(iterations: int) -> None:
    """Every layer has the counts of the other mask; the total follows, and the report says so."""
    other = partly(WEIGHTS, NAMES)
    mask, report = prune(matching(other, strategy="random", prune_iterations=iterations), WEIGHTS)
    assert mask.layers == other.layers
    assert mask != other
    assert report["fraction"] is None
    assert report["asked"] == report["reached"] == TOTAL - other.kept
    assert len(report["kept"]) == iterations


def test_matched_in_kernels() -> None:
    """The counts are those of kernels, where kernels are cut."""
    other = pruned(NETWORK, WEIGHTS, granularity="kernels", prune_fraction=0.5).mask
    mask = prune(matching(other, strategy="random", granularity="kernels"), WEIGHTS).mask
    assert mask.layers == other.layers
    assert all(
        (keep.flatten(2).any(2) == keep.flatten(2).all(2)).all()
        for keep in mask.values()
        if keep.dim() == 4
    )


def test_explicit() -> None:
    """Each layer loses its own fraction; the total follows, and rounds go the same way."""
    fractions = "wide=.5,wide.shortcut=1,stem=.25"
    whole = subject(NETWORK, allocation="explicit", layer_fractions=fractions, prune_iterations=3)
    mask, report = prune(whole, WEIGHTS)
    cut = {name: total - kept for name, (kept, total) in mask.layers.items()}
    assert cut == {
        "block.conv1.weight": 0,
        "block.conv2.weight": 0,
        "fc.weight": 0,
        "stem.weight": 14,
        "wide.conv1.weight": 54,
        "wide.conv2.weight": 90,
        "wide.shortcut.weight": 15,
    }
    assert report["reached"] == report["asked"] == sum(cut.values())
    assert report["sparsity"]["cut_to_nothing"] == ["wide.shortcut.weight"]
    assert report["kept"] == sorted(report["kept"], reverse=True)


def test_explicit_below_the_minimum() -> None:
    """A layer's fraction that leaves less than its minimum is refused."""
    with pytest.raises(UserError, match="Lower the minimum"):
        pruned(NETWORK, WEIGHTS, allocation="explicit", layer_fractions="stem=.9", minimum_kept=10)
