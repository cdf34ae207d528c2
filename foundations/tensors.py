"""How tensors are written to a file, read back, and compared by a digest.

The files are safetensors. The same tensors and metadata always make the same bytes: the library
leaves the order of the metadata to chance, so it is put in order here. What is read is copied into
memory that torch allocates: its alignment can decide the last bit of a product.
"""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from foundations.errors import DamageError
from foundations.files import changed, missing, read_bytes, sha256_of, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from foundations.hparams import Json

_LENGTH = 8
"""A safetensors file begins with the length of its header in 8 bytes, little-endian."""


class TensorFile(NamedTuple):
    """What a file of tensors holds: the tensors by name, and texts by name."""

    tensors: Mapping[str, torch.Tensor]
    metadata: Mapping[str, str] = MappingProxyType({})


def save_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> str:
    """Write tensors of any device and memory format, atomically.

    Returns:
        The sha256 of the file's bytes.

    Raises:
        UserError: The folder cannot be written to.
        OpenPruneError: The disk is full, or fails.
    """
    data = to_bytes(tensors, metadata)
    write_atomically(path, data)
    return sha256_of(data)


def load_tensors(path: Path, sha256: str | None = None) -> TensorFile:
    """The tensors of a file, contiguous and on the CPU, in the order of their names.

    Args:
        path: The file.
        sha256: What the file's bytes must have; None where nothing says it.

    Raises:
        DamageError: The file is missing, or it is not what was written.
    """
    from safetensors import SafetensorError

    data = _checked_bytes(path, sha256)
    try:
        return from_bytes(data)
    except (SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise DamageError(f"{path} is damaged: it is no safetensors file ({error}).") from error


def from_bytes(data: bytes) -> TensorFile:
    """The tensors that ``to_bytes`` made a file of, as ``load_tensors`` gives them."""
    from safetensors.torch import load

    tensors = load(data)
    metadata = _split(data)[0].get("__metadata__", {})
    return TensorFile({name: tensors[name].clone() for name in sorted(tensors)}, metadata)


def to_bytes(
    tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> bytes:
    """The file that ``save_tensors`` writes. Afterwards the tensors may change."""
    from safetensors.torch import save

    copies = {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }
    header, body = _split(save(copies))
    if metadata:
        header = {"__metadata__": dict(sorted(metadata.items()))} | header
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)
    return b"".join((len(text).to_bytes(_LENGTH, "little"), text, body))


def digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """A sha256 over names, types, shapes and values.

    Bit-equal tensors have one digest on every device, in every memory format and order of names.
    """
    import torch

    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _checked_bytes(path: Path, sha256: str | None) -> bytes:
    try:
        data = read_bytes(path)
    except FileNotFoundError as error:
        raise missing(path) from error
    if sha256 is not None and sha256_of(data) != sha256:
        raise changed(path)
    return data


def _split(data: bytes) -> tuple[dict[str, Json], memoryview]:
    """The header of a safetensors file, and its tensors' bytes."""
    end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    return json.loads(data[_LENGTH:end]), memoryview(data)[end:]
