"""How many of each layer are kept."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundations.errors import UserError
from pruning.allocations import Room, Share
from pruning.allocations.counted import Counted
from pruning.allocations.erk import Erk
from pruning.allocations.explicit import Explicit
from pruning.allocations.groups import Groups
from pruning.allocations.matched import Matched
from pruning.allocations.stages import Stages
from pruning.allocations.together import Global
from pruning.allocations.uniform import Uniform
from pruning.mask import LayerCount, Mask
from tests.pruning.networks import conv_net, drawn, mlp, residual_net, subject

SHAPES = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=6,
)


def dense(*totals: int) -> dict[str, Room]:
    """Layers a, b, c, ... that keep all they have."""
    return {chr(97 + at): Room(total, total) for at, total in enumerate(totals)}


def rooms(*pairs: tuple[int, int]) -> dict[str, Room]:
    """Layers a, b, c, ... that keep so many of so many."""
    return {chr(97 + at): Room(kept, total) for at, (kept, total) in enumerate(pairs)}


def counts(shares: list[Share]) -> list[int]:
    """How many each share keeps."""
    return [share.kept for share in shares]


def erk_slowly(shapes: list[tuple[int, ...]], kept: int) -> list[Fraction]:
    """What each layer keeps, not rounded: whatever would be above 1 is made dense, and again."""
    sizes = [prod(shape) for shape in shapes]
    whole: set[int] = set()
    while True:
        free = [at for at in range(len(shapes)) if at not in whole]
        left = kept - sum(sizes[at] for at in whole)
        if not free:
            return [Fraction(size) for size in sizes]
        epsilon = Fraction(left, sum(sum(shapes[at]) for at in free))
        over = {at for at in free if epsilon * sum(shapes[at]) > sizes[at]}
        if not over:
            return [
                Fraction(sizes[at]) if at in whole else epsilon * sum(shapes[at])
                for at in range(len(shapes))
            ]
        whole |= over


@given(SHAPES, st.data())
def test_erk(shapes: list[tuple[int, ...]], data: st.DataObject) -> None:
    """Each layer is within one of its density, computed slowly, and the total is exact."""
    layers = dense(*map(prod, shapes))
    kept = data.draw(st.integers(0, sum(map(prod, shapes))))
    densities = {
        name: Fraction(sum(shape), prod(shape)) for name, shape in zip(layers, shapes, strict=True)
    }
    found = counts(Erk(densities).shares(layers, kept))
    assert sum(found) == kept
    expected = erk_slowly(shapes, kept)
    assert all(abs(count - exact) < 1 for count, exact in zip(found, expected, strict=True))


def test_erk_of_a_network() -> None:
    """A 3 x 3 convolution from 2 to 3 channels and a linear layer 3 x 3: 11/54 to 6/9."""
    network, _ = conv_net()
    layers = {"conv.weight": Room(54, 54), "fc.weight": Room(9, 9)}
    assert Erk.of(subject(network)).shares(layers, 17) == [
        Share(("conv.weight",), 11),
        Share(("fc.weight",), 6),
    ]
    # Twice as many would be 22 and 12 of 9: the linear layer is kept whole.
    assert counts(Erk.of(subject(network)).shares(layers, 34)) == [25, 9]


def test_erk_of_gates() -> None:
    """Gates have no shapes of weights."""
    network, _ = conv_net()
    with pytest.raises(UserError, match="gate:tanh"):
        Erk.of(subject(network)).shares({"gate:tanh": Room(3, 3)}, 1)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=6), st.data())
def test_uniform(totals: list[int], data: st.DataObject) -> None:
    """Every layer of a dense network is within one of the same density."""
    kept = data.draw(st.integers(0, sum(totals)))
    found = counts(Uniform().shares(dense(*totals), kept))
    assert sum(found) == kept
    shares = [Fraction(kept * total, sum(totals) or 1) for total in totals]
    assert all(abs(count - share) < 1 for count, share in zip(found, shares, strict=True))


def test_uniform_of_what_is_left() -> None:
    """A layer that has less left keeps it all, and the others make up for it."""
    assert counts(Uniform().shares(rooms((10, 100), (100, 100), (90, 100)), 110)) == [10, 50, 50]


def test_uniform_with_minimum() -> None:
    """A layer that must keep more does, and the others make up for it."""
    layers = {"a": Room(10, 10, 5), "b": Room(100, 100), "c": Room(90, 90)}
    assert counts(Uniform().shares(layers, 24)) == [5, 10, 9]


def test_global_is_one_share() -> None:
    """All layers together, in the order of names."""
    assert Global().shares(dict(reversed(dense(2, 4).items())), 4) == [Share(("a", "b"), 4)]


def test_groups() -> None:
    """Each group keeps the same fraction of what its layers have; they are not divided further."""
    groups = Groups((("a", "c"), ("b",)))
    assert groups.shares(dense(10, 20, 10), 20) == [Share(("a", "c"), 10), Share(("b",), 10)]


def test_groups_of_a_network() -> None:
    """Groups are read from the hyperparameters; the longest beginning counts."""
    network, weights = residual_net()
    allocation = Groups.of(
        subject(network, allocation="groups", layer_groups="stem+wide+fc;block;wide.shortcut")
    )
    layers = {n: Room(10, 10) for n in sorted(weights) if n.endswith("weight")}
    assert allocation.shares(layers, 35) == [
        Share(("fc.weight", "stem.weight", "wide.conv1.weight", "wide.conv2.weight"), 20),
        Share(("block.conv1.weight", "block.conv2.weight"), 10),
        Share(("wide.shortcut.weight",), 5),
    ]


@pytest.mark.parametrize(
    ("groups", "match"),
    [((("a",),), "In no group.*b, c"), ((("a", "b"), ("c", "d")), "'d'")],
)
def test_groups_do_not_fit(groups: tuple[tuple[str, ...], ...], match: str) -> None:
    """A layer in no group, and a beginning of no layer, are refused."""
    with pytest.raises(UserError, match=match):
        Groups(groups).shares(dense(1, 1, 1), 1)


def test_stages() -> None:
    """The stem; what nothing is added to; summands, shortcuts included; the output."""
    network, weights = residual_net()
    allocation = Stages.of(subject(network, allocation="stages"))
    layers = {n: Room(10, 10) for n in sorted(weights) if n.endswith("weight")}
    assert allocation.shares(layers, 35) == [
        Share(("stem.weight",), 5),
        Share(("block.conv1.weight", "wide.conv1.weight"), 10),
        Share(("block.conv2.weight", "wide.conv2.weight", "wide.shortcut.weight"), 15),
        Share(("fc.weight",), 5),
    ]


def test_stages_without_ignored_layers() -> None:
    """A kind all of whose layers are ignored is none."""
    network, _ = residual_net()
    allocation = Stages.of(subject(network, allocation="stages"))
    layers = {"stem.weight": Room(10, 10), "block.conv1.weight": Room(10, 10)}
    assert counts(allocation.shares(layers, 10)) == [5, 5]


def test_stages_of_gates() -> None:
    """Gates after activations and sums are of the kind that their channels are."""
    network, _ = residual_net()
    asked = subject(network, allocation="stages")
    sites = [f"gate:{site}" for site in asked.wiring.sites]
    kinds = {site: Stages.of(asked).kinds[site] for site in sites}
    assert list(kinds.values()) == ["stem", "inner", "outer", "inner", "outer"]


def test_stages_need_sums() -> None:
    """A network in which nothing is added up has none."""
    network, _ = conv_net()
    with pytest.raises(UserError, match=r"residual networks.*ConvNet"):
        Stages.of(subject(network, allocation="stages"))


@pytest.mark.parametrize(
    ("convention", "left"),
    [("remaining", [8, 20, 15]), ("all", [8, 40, 15]), ("kept", [2, 10, 15])],
)
def test_explicit(convention: str, left: list[int]) -> None:
    """The fraction of each layer, of what the convention says; layers not named keep all."""
    layers = {"a.x": Room(10, 10), "a.y": Room(40, 50), "b": Room(15, 20)}
    allocation = Explicit({"a": 0.2, "a.y": 0.5 if convention == "remaining" else 0.2}, convention)
    assert list(allocation.counts(layers).values()) == left


def test_explicit_impossible() -> None:
    """A layer that has less left than it was to keep is named; so is a beginning of no layer."""
    with pytest.raises(UserError, match=r"keeps 80 of 100 in a, but only 50 are left"):
        Explicit({"a": 0.2}, "all").counts(rooms((50, 100)))
    with pytest.raises(UserError, match=r"layer_fractions.*'c'"):
        Explicit({"c": 0.2}).counts(dense(1))


def test_matched() -> None:
    """As many as the other mask keeps; its other layers do not matter."""
    found = Matched({"a": LayerCount(3, 9), "b": LayerCount(0, 2), "c": LayerCount(1, 1)})
    assert found.counts(dense(9, 2)) == {"a": 3, "b": 0}


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        (rooms((2, 9)), "keeps 3 of a, but only 2 are left"),
        (dense(8), "another network: a has 8 here, and 9"),
        (dense(9, 1), "another network: b has 1 here, and none"),
    ],
)
def test_matched_impossible(layers: dict[str, Room], match: str) -> None:
    """A mask of another network, or one that keeps more than is left, is refused."""
    with pytest.raises(UserError, match=match):
        Matched({"a": LayerCount(3, 9)}).counts(layers)


def test_matched_needs_a_mask() -> None:
    """The mask to match is not guessed."""
    network, _ = mlp(8, 3)
    with pytest.raises(UserError, match="match_run"):
        Matched.of(subject(network, allocation="matched"))


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=5), st.data()
)
def test_counted(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    """On the way each layer is between what it keeps and its count, and in the end at its count."""
    layers = {chr(97 + at): Room(end + more, 99) for at, (end, more) in enumerate(pairs)}
    ends = {chr(97 + at): end for at, (end, _) in enumerate(pairs)}
    kept = data.draw(st.integers(sum(ends.values()), sum(room.kept for room in layers.values())))
    found = dict(zip(ends, counts(Counted(ends).shares(layers, kept)), strict=True))
    assert sum(found.values()) == kept
    assert all(ends[name] <= found[name] <= layers[name].kept for name in ends)
    last = Counted(ends).shares(layers, sum(ends.values()))
    assert counts(last) == list(ends.values())


def test_matched_of_a_mask() -> None:
    """The mask that is matched is counted in units of the granularity."""
    network, weights = residual_net()
    names = [n for n in sorted(weights) if n.endswith("weight")]
    whole = Mask.dense(drawn(network), names)
    asked = subject(network, allocation="matched")
    asked = type(asked)(network, asked.hparams, asked.shape, matched=whole)
    assert Matched.of(asked).layers == whole.layers
