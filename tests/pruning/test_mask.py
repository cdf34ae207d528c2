"""What a mask counts, does to weights, and becomes in a file."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from foundations.draws import generator
from foundations.errors import DamageError, UserError
from pruning.mask import FORMAT, LayerCount, Mask, unpack

SHAPES = st.dictionaries(
    st.text("abc.", min_size=1, max_size=5),
    st.lists(st.integers(0, 5), max_size=4).map(tuple),
    max_size=4,
)


def drawn(shapes: dict[str, tuple[int, ...]], seed: int) -> Mask:
    """A mask of fair coin flips."""
    return Mask(
        {
            name: torch.rand(shape, generator=generator(seed, name)) < 0.5
            for name, shape in shapes.items()
        }
    )


def small() -> Mask:
    """Three of six kept."""
    return Mask(
        {"b": torch.tensor([True, False]), "a": torch.tensor([[True, False], [True, False]])}
    )


def test_counts() -> None:
    """Kept and total entries are counted by layer and in all, in the order of names."""
    mask = small()
    assert list(mask) == ["a", "b"]
    assert mask.layers == {"a": LayerCount(2, 4), "b": LayerCount(1, 2)}
    assert (mask.kept, mask.total, mask.density, mask.sparsity) == (3, 6, 0.5, 0.5)
    assert mask.shapes == {"a": (2, 2), "b": (2,)}


def test_mask_of_nothing() -> None:
    """A mask without layers keeps all of nothing."""
    assert (Mask({}).kept, Mask({}).total, Mask({}).density) == (0, 0, 1.0)


def test_dense() -> None:
    """The dense mask keeps everything of the names given, and masks nothing else."""
    weights = {"a": torch.zeros(2, 3), "bias": torch.zeros(2)}
    mask = Mask.dense(weights, ["a"])
    assert mask.layers == {"a": LayerCount(6, 6)}


def test_apply_gives_positive_zero() -> None:
    """Cut entries are +0.0 whatever they were; the others keep their bits."""
    values = torch.tensor([-1.0, -0.0, math.inf, -math.inf, math.nan, -2.0, -0.0])
    keep = torch.tensor([False, False, False, False, False, True, True])
    masked = Mask({"w": keep}).apply({"w": values})["w"]
    assert masked.view(torch.int32).tolist() == [0] * 5 + values[5:].view(torch.int32).tolist()
    assert masked.dtype == values.dtype


def test_multiplying_would_not_do() -> None:
    """The control: a product leaves a negative zero and a NaN."""
    product = torch.tensor([-1.0, math.inf]) * torch.zeros(2)
    assert product.view(torch.int32).tolist() != [0, 0]


def test_apply_leaves_the_rest() -> None:
    """What is not masked is passed on, and the weights given are not written to."""
    weights = {"w": torch.ones(2), "bias": torch.ones(3), "count": torch.tensor(4)}
    masked = Mask({"w": torch.tensor([True, False])}).apply(weights)
    assert masked["bias"] is weights["bias"]
    assert masked["count"] is weights["count"]
    assert list(masked) == list(weights)
    assert weights["w"].tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_apply_keeps_the_type(dtype: torch.dtype) -> None:
    """Weights of any floating type keep it."""
    masked = Mask({"w": torch.tensor([True, False])}).apply({"w": torch.ones(2, dtype=dtype)})
    assert masked["w"].dtype == dtype


def test_apply_refuses_a_missing_weight() -> None:
    """A parameter that is not there is no silent no-op."""
    with pytest.raises(UserError, match=r"Did you mean 'my\.fc'"):
        Mask({"fc": torch.ones(2, dtype=torch.bool)}).apply({"my.fc": torch.ones(2)})


def test_gates_are_no_weights() -> None:
    """A gate has a place in the mask, and none among the weights."""
    mask = Mask({"gate:conv": torch.tensor([True, False]), "w": torch.tensor([False])})
    assert mask.apply({"w": torch.ones(1)})["w"].tolist() == [0]
    mask.check({"gate:conv": (2,), "w": (1,)})
    with pytest.raises(UserError, match="gate:conv"):
        mask.check({"w": (1,)})


def test_check() -> None:
    """A mask fits a network that has its names and shapes, and more."""
    small().check({"a": (2, 2), "b": [2], "bias": (3,)})


def test_check_refuses_a_name() -> None:
    """A network without one of the layers is refused by the layer's name."""
    with pytest.raises(UserError, match=r"another network.*'b'"):
        small().check({"a": (2, 2)})


def test_check_refuses_a_shape() -> None:
    """A network with a layer of another shape is refused by both shapes."""
    with pytest.raises(UserError, match=r"'a' has the shape \[2, 2\].* \[4\] in the network"):
        small().check({"a": (4,), "b": (2,)})


def test_equality() -> None:
    """Masks are equal when names, shapes and every entry are."""
    assert small() == small()
    assert small() != Mask({"a": small()["a"]})
    assert small() != Mask({**small(), "b": torch.tensor([False, True])})
    assert small() != Mask({**small(), "a": small()["a"].reshape(4)})
    assert small() != 1


def test_immutable() -> None:
    """What the mask was made from can change without the mask."""
    source = torch.tensor([True, True])
    mask = Mask({"w": source})
    source[0] = False
    assert mask["w"].tolist() == [True, True]
    with pytest.raises(TypeError):
        mask["w"] = source  # type: ignore[index]
    with pytest.raises(TypeError):
        hash(mask)


def test_only_booleans() -> None:
    """Zeros and ones as numbers are no mask."""
    with pytest.raises(TypeError, match="float32"):
        Mask({"w": torch.ones(2)})


@given(SHAPES, st.integers(0, 99))
def test_packed_and_back(shapes: dict[str, tuple[int, ...]], seed: int) -> None:
    """A mask of any shapes comes back from its packed form."""
    mask = drawn(shapes, seed)
    tensors, metadata = mask.pack()
    assert unpack(tensors, metadata) == mask
    for name, tensor in tensors.items():
        assert tensor.dtype == torch.uint8
        assert tensor.numel() == math.ceil(mask[name].numel() / 8)


def test_bits() -> None:
    """The first entry is the lowest bit of the first byte."""
    keep = torch.tensor([True, False, True, False, False, False, False, False, True])
    tensors, metadata = Mask({"w": keep}).pack()
    assert tensors["w"].tolist() == [5, 1]
    assert json.loads(metadata["shapes"]) == {"w": [9]}
    assert metadata["format"] == FORMAT


def test_through_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The packed form is what a safetensors file takes and gives."""
    path = tmp_path_factory.mktemp("mask") / "mask.safetensors"
    tensors, metadata = small().pack()
    save_file(tensors, path, metadata)
    with safe_open(path, "pt") as file:
        back = unpack({name: file.get_tensor(name) for name in file.keys()}, file.metadata())  # noqa: SIM118 - no mapping
    assert back == small()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", torch.zeros(2, dtype=torch.uint8)),
        ("a", torch.zeros(0, dtype=torch.uint8)),
        ("a", torch.zeros(1)),
        ("a", torch.zeros((1, 1), dtype=torch.uint8)),
        ("a", torch.tensor([16], dtype=torch.uint8)),
    ],
)
def test_damaged_bits(name: str, value: torch.Tensor) -> None:
    """Bits of a wrong length, type or padding are refused by the layer's name."""
    tensors, metadata = small().pack()
    with pytest.raises(DamageError, match=f"'{name}'"):
        unpack(tensors | {name: value}, metadata)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"format": "open_prune mask 2", "shapes": "{}"},
        {"format": FORMAT},
        {"format": FORMAT, "shapes": "{"},
        {"format": FORMAT, "shapes": "[]"},
        {"format": FORMAT, "shapes": '{"a": [2, 2], "b": [-2]}'},
        {"format": FORMAT, "shapes": '{"a": [2, 2], "b": 2}'},
        {"format": FORMAT, "shapes": '{"a": [2, 2], "b": [2.0]}'},
        {"format": FORMAT, "shapes": '{"a": [2, 2]}'},
        {"format": FORMAT, "shapes": '{"a": [2, 2], "b": [2], "c": [0]}'},
    ],
)
def test_damaged_metadata(metadata: dict[str, str] | None) -> None:
    """Metadata that is missing, newer, unreadable or of other layers is refused."""
    with pytest.raises(DamageError):
        unpack(small().pack()[0], metadata)
