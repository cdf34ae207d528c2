"""What shuffling changes of a mask, and what not."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from foundations.draws import generator
from pruning.mask import Mask
from pruning.shuffle import shuffle_evenly, shuffle_globally, shuffle_layerwise


def drawn(*shapes: tuple[int, ...]) -> Mask:
    """A mask with about a third kept."""
    return Mask(
        {
            f"layer{n}": torch.rand(shape, generator=generator(n, "shuffle test")) < 1 / 3
            for n, shape in enumerate(shapes)
        }
    )


@given(st.lists(st.lists(st.integers(0, 5), max_size=4).map(tuple), max_size=4), st.integers(0, 99))
def test_counts_stay(shapes: list[tuple[int, ...]], seed: int) -> None:
    """Every layer keeps its shape and its count."""
    mask = drawn(*shapes)
    assert shuffle_layerwise(mask, seed).shapes == mask.shapes
    assert shuffle_layerwise(mask, seed).layers == mask.layers


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=40), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_shuffling_stays_within_what_was_kept(layers: list[list[bool]], seed: int) -> None:
    """Of what was kept before, each layer keeps as many as it did, and nothing else."""
    within = Mask({f"layer{n}": torch.tensor(layer) for n, layer in enumerate(layers)})
    other = drawn(*((len(layer),) for layer in layers))
    mask = Mask({name: other[name] & places for name, places in within.items()})
    shuffled = shuffle_layerwise(mask, seed, within=within)
    assert shuffled.layers == mask.layers
    assert all((shuffled[name] <= within[name]).all() for name in within)


def test_every_layer_changes_within_what_was_kept() -> None:
    """Each of a mask's large layers is another; where nothing is free, it is the same."""
    mask, within = drawn((10, 10), (100,)), drawn((10, 10), (100,))
    within = Mask({name: places | mask[name].flip(0) for name, places in within.items()})
    shuffled = shuffle_layerwise(mask, 0, within=within)
    assert not any(torch.equal(mask[name], shuffled[name]) for name in mask)
    assert shuffle_layerwise(mask, 0, within=mask) == mask


def test_every_layer_changes() -> None:
    """The mask that comes out is another one, in every layer."""
    mask = drawn((10, 10), (100,), (4, 3, 3, 3))
    shuffled = shuffle_layerwise(mask, 0)
    assert not any(torch.equal(mask[name], shuffled[name]) for name in mask)


def test_keyed_by_the_seed() -> None:
    """One seed gives one shuffle, another another; seed 0 is a seed like any."""
    mask = drawn((10, 10))
    assert shuffle_layerwise(mask, 0) == shuffle_layerwise(mask, 0)
    assert shuffle_layerwise(mask, 0) != shuffle_layerwise(mask, 1)


def test_keyed_by_the_layer() -> None:
    """Layers of one shape are shuffled differently, and each whatever others there are."""
    one = drawn((100,))
    twice = Mask({"layer0": one["layer0"], "layer1": one["layer0"]})
    shuffled = shuffle_layerwise(twice, 0)
    assert not torch.equal(shuffled["layer0"], shuffled["layer1"])
    assert torch.equal(shuffled["layer0"], shuffle_layerwise(one, 0)["layer0"])


def test_every_position_is_reached() -> None:
    """A single kept entry comes to lie everywhere, about equally often."""
    mask = Mask({"w": torch.tensor([True, False, False, False])})
    counts = torch.stack([shuffle_layerwise(mask, seed)["w"] for seed in range(400)]).sum(0)
    assert counts.sum() == 400
    assert counts.min() > 60


@given(
    st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple), max_size=4),
    st.integers(0, 99),
)
def test_evenly(shapes: list[tuple[int, ...]], seed: int) -> None:
    """Every layer is within one of the density of all; the total is exact."""
    mask = drawn(*shapes)
    even = shuffle_evenly(mask, seed)
    assert even.shapes == mask.shapes
    assert even.kept == mask.kept
    assert all(
        abs(kept - mask.kept * total / mask.total) < 1 for kept, total in even.layers.values()
    )


def test_evenly_is_random() -> None:
    """Which entries stay is drawn by the seed, and is not what the mask had."""
    mask = drawn((10, 10), (100,))
    assert shuffle_evenly(mask, 0) == shuffle_evenly(mask, 0) != shuffle_evenly(mask, 1)
    first = shuffle_evenly(mask, 0)["layer1"].nonzero().squeeze(1)
    assert first.tolist() != list(range(len(first)))


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=3).map(tuple), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_globally(shapes: list[tuple[int, ...]], seed: int) -> None:
    """Shapes and the count in all stay."""
    mask = drawn(*shapes)
    assert shuffle_globally(mask, seed).shapes == mask.shapes
    assert shuffle_globally(mask, seed).kept == mask.kept


def test_globally_across_layers() -> None:
    """What one layer had may come to lie in another: about half of 100 in each of two alike."""
    mask = Mask({"a": torch.ones(100, dtype=torch.bool), "b": torch.zeros(100, dtype=torch.bool)})
    shuffled = shuffle_globally(mask, 0)
    assert shuffled.kept == 100
    assert 30 < shuffled.layers["b"].kept < 70
    assert shuffle_globally(mask, 0) == shuffled != shuffle_globally(mask, 1)
