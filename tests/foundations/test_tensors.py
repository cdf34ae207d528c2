"""Tensors come back bit for bit, from files whose bytes depend on nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from foundations.errors import DamageError
from foundations.files import sha256_of
from foundations.tensors import digest, load_tensors, save_tensors, to_bytes

IMAGE = torch.arange(120.0).reshape(2, 3, 4, 5)
MANY = {
    "float32": IMAGE,
    "bfloat16": torch.tensor([1.0, 3.14159, -0.0]).bfloat16(),
    "float16": torch.tensor([0.1]).half(),
    "bool": torch.tensor([True, False]),
    "int64": torch.tensor(7),
    "uint8": torch.arange(9, dtype=torch.uint8),
    "empty": torch.empty(0, 4),
    "channels_last": IMAGE.to(memory_format=torch.channels_last),
    "slice": IMAGE[:, 1],
    "transposed": IMAGE.transpose(0, 3),
    "parameter": torch.nn.Parameter(torch.tensor([float("inf"), float("nan")])),
}


def _equal_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    bits = [tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*bits)


def test_every_tensor_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    """All types and layouts, tensors that share memory, no elements at all."""
    sha256 = save_tensors(tmp_path / "t", MANY, {"step": "1ep"})
    tensors, metadata = load_tensors(tmp_path / "t", sha256)
    assert metadata == {"step": "1ep"}
    assert list(tensors) == sorted(MANY)
    assert all(_equal_bits(tensors[name], MANY[name]) for name in MANY)
    assert all(tensor.is_contiguous() for tensor in tensors.values())


def test_the_checksum_is_that_of_the_file(tmp_path: Path) -> None:
    """Any tool can check it."""
    assert save_tensors(tmp_path / "t", MANY) == sha256_of(tmp_path / "t")


def test_the_file_can_be_read_without_this_project(tmp_path: Path) -> None:
    """It is safetensors, metadata and all."""
    save_tensors(tmp_path / "t", {"a": IMAGE}, {"z": "1", "b": "2"})
    with safe_open(tmp_path / "t", framework="pt") as file:
        assert torch.equal(file.get_tensor("a"), IMAGE)
        assert file.metadata() == {"z": "1", "b": "2"}


def test_the_bytes_depend_on_no_order_and_no_layout() -> None:
    """Names, metadata and memory formats in another order make the same file."""
    last = IMAGE.to(memory_format=torch.channels_last)
    one = to_bytes({"a": IMAGE, "b": MANY["bool"]}, {"x": "1", "y": "2", "z": "3"})
    two = to_bytes({"b": MANY["bool"], "a": last}, {"z": "3", "y": "2", "x": "1"})
    assert one == two


def test_another_process_makes_the_same_bytes() -> None:
    """Nothing depends on a process's hash seed."""
    code = (
        "import torch; from foundations.tensors import to_bytes; from foundations.files import *;"
        "print(sha256_of(to_bytes({'a': torch.ones(3), 'b': torch.zeros(2)},"
        "{name: name for name in 'abcdefgh'})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = to_bytes({"a": torch.ones(3), "b": torch.zeros(2)}, {name: name for name in "abcdefgh"})
    assert ran.stdout.strip() == sha256_of(here)


def test_what_is_serialized_no_longer_follows_the_tensor() -> None:
    """A snapshot can be written while training goes on."""
    tensor = torch.ones(3)
    data = to_bytes({"a": tensor})
    tensor.zero_()
    assert data == to_bytes({"a": torch.ones(3)})


def test_loaded_tensors_are_aligned_as_torch_aligns(tmp_path: Path) -> None:
    """The last bit of a product can depend on it."""
    odd = {"a": torch.ones(1, dtype=torch.bool), "b": torch.ones(7), "c": torch.ones(9).bfloat16()}
    save_tensors(tmp_path / "t", odd)
    assert all(
        tensor.data_ptr() % 64 == 0 for tensor in load_tensors(tmp_path / "t").tensors.values()
    )


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("left", [0, 5, 8, 60, -1])
def test_a_file_cut_short_is_named(tmp_path: Path, left: int, known: bool) -> None:  # noqa: FBT001 - a case
    """With or without a checksum to compare with."""
    path = tmp_path / "t"
    sha256 = save_tensors(path, MANY)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DamageError, match=str(path)):
        load_tensors(path, sha256 if known else None)


def test_one_changed_bit_is_found(tmp_path: Path) -> None:
    """Safetensors itself would not notice."""
    path = tmp_path / "t"
    sha256 = save_tensors(path, {"a": IMAGE})
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    load_tensors(path)
    with pytest.raises(DamageError, match="sha256"):
        load_tensors(path, sha256)


@pytest.mark.parametrize("header", [b"[]", b"{", b"3", b'{"__metadata__":[1]}'])
def test_a_foreign_file_is_named(tmp_path: Path, header: bytes) -> None:
    """Its header is no header of tensors."""
    (tmp_path / "t").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(DamageError, match="no safetensors file"):
        load_tensors(tmp_path / "t")


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    """It was written once, or nobody would ask for it."""
    with pytest.raises(DamageError, match="missing"):
        load_tensors(tmp_path / "t")


def test_a_digest_sees_values_and_not_layout() -> None:
    """Memory format, order of names, and gradients do not matter."""
    last = IMAGE.to(memory_format=torch.channels_last)
    plain = digest({"a": IMAGE, "b": torch.ones(2)})
    assert plain == digest({"b": torch.ones(2), "a": torch.nn.Parameter(last)})


@pytest.mark.parametrize(
    "other",
    [
        {"b": torch.zeros(6)},
        {"a": torch.zeros(2, 3)},
        {"a": torch.zeros(6, dtype=torch.int32)},
        {"a": -torch.zeros(6)},
        {"a": torch.tensor([0.0, 0, 0, 0, 0, 1e-45])},
        {"a": torch.zeros(6), "b": torch.zeros(0)},
        {},
    ],
)
def test_a_digest_sees_every_difference(other: dict[str, torch.Tensor]) -> None:
    """Name, shape, type, sign of zero, one bit, one more."""
    assert digest({"a": torch.zeros(6)}) != digest(other)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_digest_and_a_file_are_the_same_from_another_device() -> None:
    """Where a tensor lives does not matter."""
    assert digest({"a": IMAGE.cuda()}) == digest({"a": IMAGE})
    assert to_bytes({"a": IMAGE.cuda()}) == to_bytes({"a": IMAGE})
