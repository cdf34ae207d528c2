"""Exactly the entries that a stable sort would cut."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foundations.draws import generator
from foundations.errors import RunFailedError
from pruning import select
from pruning.select import cut

INF = math.inf
Layers = dict[str, Tensor]
VALUES = st.sampled_from([-INF, -1.0, -0.0, 0.0, 0.5, 1.0, INF])


def sorted_reference(scores: Layers, kept: Layers, count: int, *, highest: bool) -> Layers:
    """What is kept, by a stable sort of all kept entries by (score, layer, index)."""
    entries = [
        (-score if highest else score, name, index)
        for name in sorted(scores)
        for index, score in enumerate(scores[name].double().flatten().tolist())
        if kept[name].flatten()[index]
    ]
    after = {name: keep.clone().contiguous() for name, keep in kept.items()}
    for _, name, index in sorted(entries)[:count]:
        after[name].view(-1)[index] = False
    return after


def torch_reference(scores: Layers, kept: Layers, count: int, *, highest: bool) -> Layers:
    """The same by torch's stable sort, for many entries."""
    names = sorted(scores)
    flat = torch.cat([scores[name].flatten().double() for name in names])
    keep = torch.cat([kept[name].flatten() for name in names])
    where = keep.nonzero().squeeze(1)
    order = (-flat[where] if highest else flat[where]).sort(stable=True).indices
    keep[where[order[:count]]] = False
    parts = torch.split(keep, [scores[name].numel() for name in names])
    return {n: part.view(scores[n].shape) for n, part in zip(names, parts, strict=True)}


def same(a: Layers, b: Layers) -> bool:
    """Whether two masks are equal."""
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


def all_of(scores: Layers) -> Layers:
    """Everything kept."""
    return {name: torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}


@st.composite
def problems(draw: st.DrawFn) -> tuple[Layers, Layers, int]:
    """Some layers of few values, a mask, and how many to cut."""
    scores, kept = {}, {}
    for name in draw(st.sets(st.sampled_from("abcd"), min_size=1)):
        size = draw(st.integers(0, 12))
        values = draw(st.lists(VALUES, min_size=size, max_size=size))
        keep = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        scores[name] = torch.tensor(values, dtype=torch.float32)
        kept[name] = torch.tensor(keep, dtype=torch.bool)
    available = sum(int(keep.sum()) for keep in kept.values())
    return scores, kept, draw(st.integers(0, available))


@given(problems(), st.booleans(), st.sampled_from([1, 2, 389]), st.sampled_from([2, 7, 1 << 17]))
@settings(max_examples=400)
def test_as_a_stable_sort(
    problem: tuple[Layers, Layers, int],
    highest: bool,  # noqa: FBT001 - hypothesis passes it
    stride: int,
    chunk: int,
) -> None:
    """Whatever is sampled and however it is cut to pieces, the result is the stable sort's."""
    scores, kept, count = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(select, "STRIDES", (stride,))
        patch.setattr(select, "CHUNK", chunk)
        patch.setattr(select, "DEVIATIONS", 0.0)  # a bracket that is often wrong
        found = cut(scores, kept, count, highest=highest)
    assert same(found, sorted_reference(scores, kept, count, highest=highest))


@given(st.integers(0, 20), st.integers(0, 20), st.booleans())
def test_all_scores_equal(size: int, count: int, highest: bool) -> None:  # noqa: FBT001 - as above
    """With all scores equal, exactly the first so many go."""
    count = min(count, size)
    scores = {"w": torch.full((size,), 0.25)}
    found = cut(scores, all_of(scores), count, highest=highest)["w"].tolist()
    assert found == [False] * count + [True] * (size - count)


def test_ties_by_layer_and_position() -> None:
    """Of equal scores the first goes: in the order of sorted names, then of flat indices."""
    scores = {"b": torch.zeros(2, 2), "a": torch.tensor([1.0, 0.0])}
    found = cut(scores, all_of(scores), 3)
    assert found["a"].tolist() == [True, False]
    assert found["b"].tolist() == [[False, False], [True, True]]


def test_position_is_logical() -> None:
    """How a tensor lies in memory does not matter."""
    scores = {"w": torch.zeros(3, 2).t()}
    kept = {"w": torch.ones(3, 2, dtype=torch.bool).t()}
    assert cut(scores, kept, 2)["w"].tolist() == [[False, False, True], [True, True, True]]


def test_zeros_of_both_signs_are_equal() -> None:
    """-0.0 is no less than 0.0."""
    scores = {"w": torch.tensor([0.0, -0.0])}
    assert cut(scores, all_of(scores), 1)["w"].tolist() == [False, True]


def test_none_and_all() -> None:
    """Nothing and everything can be cut; the tensors given stay as they were."""
    scores, kept = {"w": torch.rand(5)}, {"w": torch.tensor([True, False, True, True, True])}
    nothing = cut(scores, kept, 0)
    assert torch.equal(nothing["w"], kept["w"])
    assert nothing["w"] is not kept["w"]
    assert cut(scores, kept, 4)["w"].sum() == 0
    assert kept["w"].sum() == 4


@pytest.mark.parametrize("count", [-1, 4])
def test_more_than_there_is(count: int) -> None:
    """More than is kept, or less than nothing, cannot be cut."""
    scores = {"w": torch.rand(3)}
    with pytest.raises(ValueError, match="of 3 that are kept"):
        cut(scores, all_of(scores), count)


def test_other_shapes() -> None:
    """Scores of another network's shapes or names are refused."""
    scores = {"w": torch.rand(4)}
    for kept in ({"w": torch.ones(2, 2, dtype=torch.bool)}, {"v": torch.ones(4, dtype=torch.bool)}):
        with pytest.raises(ValueError, match="names or shapes"):
            cut(scores, kept, 1)


@pytest.mark.parametrize("count", [0, 1, 4])
@pytest.mark.parametrize("size", [4, 400])
def test_nan_is_refused(count: int, size: int) -> None:
    """NaN is refused at whatever count, with the layer's name."""
    scores = {"fine": torch.rand(3), "broken": torch.rand(size)}
    scores["broken"][1] = math.nan
    with pytest.raises(RunFailedError, match=r"1 of the scores of 'broken'.*NaN"):
        cut(scores, all_of(scores), count)


@pytest.mark.parametrize("size", [4, 400])
def test_nan_of_what_is_cut(size: int) -> None:
    """A score of what is cut already does not matter."""
    scores = {"w": torch.arange(float(size))}
    kept = all_of(scores)
    scores["w"][0], kept["w"][0] = math.nan, False
    if size > 4:
        kept["w"][9:] = False
    assert not cut(scores, kept, 1)["w"][:2].any()


def test_mixed_types() -> None:
    """Layers of different floating types are compared exactly."""
    scores = {
        "a": torch.tensor([0.1], dtype=torch.float32),  # a little more than 0.1
        "b": torch.tensor([0.1], dtype=torch.float64),
        "c": torch.tensor([0.25], dtype=torch.bfloat16),
    }
    found = cut(scores, all_of(scores), 1)
    assert [bool(found[name]) for name in "abc"] == [True, False, True]


CASES = [
    "random",
    "98 % zero",
    "98 % pruned",
    "half pruned",
    "few values",
    "infinite",
    "ascending",
    "periodic",
    "hidden from the sample",
]


STRIDE = 127
"""At which a million scores are sampled."""


@cache
def cases() -> dict[str, tuple[Tensor, Tensor]]:
    """Many scores, and what is kept of them."""
    size = 1_000_000
    rand = torch.rand(size, generator=generator(1, "scores"))
    coin = torch.rand(size, generator=generator(1, "coins"))
    full = torch.ones(size, dtype=torch.bool)
    return {
        "random": (rand, full),
        "98 % zero": (torch.where(coin < 0.98, torch.zeros(()), rand), full),
        "98 % pruned": (rand, coin > 0.98),
        "half pruned": (rand, coin > 0.5),
        "few values": ((rand * 5).floor(), coin > 0.1),
        "infinite": (torch.where(coin < 0.4, torch.tensor(-INF), rand.log()), full),
        "ascending": (torch.arange(size, dtype=torch.float32), full),
        "periodic": ((torch.arange(size) % STRIDE).float(), full),
        "hidden from the sample": ((torch.arange(size) % STRIDE == 0).float() + rand, full),
    }


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_a_million(name: str, end: str) -> None:
    """A million scores in three layers give what a stable sort gives."""
    values, keep = cases()[name]
    sizes = [600_000, 390_001, 9_999]
    scores = dict(zip("bac", torch.split(values, sizes), strict=True))
    kept = dict(zip("bac", torch.split(keep, sizes), strict=True))
    available, highest = int(keep.sum()), end == "highest"
    for count in (1, available // 3, int(available * 0.98)):
        found = cut(scores, kept, count, highest=highest)
        assert same(found, torch_reference(scores, kept, count, highest=highest))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", CASES)
def test_on_a_gpu(name: str) -> None:
    """The same entries go on a GPU."""
    values, keep = cases()[name]
    count = int(keep.sum()) // 3
    here = cut({"w": values}, {"w": keep}, count)["w"]
    there = cut({"w": values.cuda()}, {"w": keep.cuda()}, count)["w"]
    assert there.is_cuda
    assert torch.equal(here, there.cpu())


def test_torch_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path that devices take, tried on the CPU, gives the same."""
    monkeypatch.setattr(select, "_flat", lambda tensor: tensor.detach().reshape(-1))
    for name in CASES:
        values, keep = (tensor[:100_000] for tensor in cases()[name])
        for highest in (False, True):
            count = int(keep.sum()) // 3
            found = cut({"w": values}, {"w": keep}, count, highest=highest)
            wanted = torch_reference({"w": values}, {"w": keep}, count, highest=highest)
            assert same(found, wanted)
