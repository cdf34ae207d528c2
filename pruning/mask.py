"""What is kept of a network: the mask, an immutable value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from foundations.errors import DamageError, UserError, unknown
from models.gates import GATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

FORMAT = "open_prune mask 1"
"""What a packed mask says it is; bits are packed lowest first, in the order of flat indices."""


class LayerCount(NamedTuple):
    """How many entries of a layer are kept, and how many there are."""

    kept: int
    total: int


class Mask(Mapping[str, torch.Tensor]):
    """Names of parameters and gates, and which of their entries are kept (true) or cut (false).

    The tensors are copies; whoever reads one must not write to it.

    Args:
        tensors: Boolean tensors by name, of the shapes of what they mask, on any one device.

    Raises:
        TypeError: A tensor is not boolean.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            if tensor.dtype != torch.bool:
                raise TypeError(f"The mask of {name!r} is {tensor.dtype}, not torch.bool.")
        self._tensors = {
            name: tensors[name].detach().clone(memory_format=torch.contiguous_format)
            for name in sorted(tensors)
        }

    @classmethod
    def dense(cls, weights: Mapping[str, Tensor], names: Iterable[str]) -> Mask:
        """The mask that keeps everything of the ``names``, shaped and placed as ``weights``."""
        return cls({name: torch.ones_like(weights[name], dtype=torch.bool) for name in names})

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __eq__(self, other: object) -> bool:
        """Whether names, shapes and every entry agree, wherever the tensors lie."""
        if not isinstance(other, Mask):
            return NotImplemented
        return self.shapes == other.shapes and all(
            torch.equal(mine.cpu(), other[name].cpu()) for name, mine in self.items()
        )

    __hash__ = None  # type: ignore[assignment]  # equality reads every entry

    def __repr__(self) -> str:
        return f"Mask({len(self)} layers, {self.kept} of {self.total} kept)"

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each masked tensor."""
        return {name: tuple(tensor.shape) for name, tensor in self.items()}

    @cached_property
    def weights(self) -> Mask:
        """The mask of weights of layers alone: of what has two dimensions or more.

        Biases, norms and gates have one. What is cut of them goes with channels.
        """
        chosen = {name: tensor for name, tensor in self.items() if tensor.dim() > 1}
        return self if len(chosen) == len(self) else Mask(chosen)

    @cached_property
    def layers(self) -> dict[str, LayerCount]:
        """Kept and total entries of each layer, read from the device at once."""
        if not self:
            return {}
        kept = _counts(list(self.values()))
        totals = (tensor.numel() for tensor in self.values())
        return dict(zip(self, map(LayerCount, kept, totals), strict=True))

    @property
    def kept(self) -> int:
        """How many entries are kept."""
        return sum(layer.kept for layer in self.layers.values())

    @property
    def total(self) -> int:
        """How many entries there are."""
        return sum(layer.total for layer in self.layers.values())

    @property
    def density(self) -> float:
        """The fraction that is kept; 1 for a mask of nothing."""
        return self.kept / self.total if self.total else 1.0

    @property
    def sparsity(self) -> float:
        """The fraction that is cut."""
        return 1 - self.density

    def to(self, device: torch.device | str) -> Mask:
        """The same mask on another device."""
        return Mask({name: tensor.to(device) for name, tensor in self.items()})

    def apply(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights with every cut entry exactly +0.0, and all else as it was.

        Tensors that are not masked are passed on, not copied. Gates are no weights: they are left
        to whoever runs the network.

        Raises:
            UserError: A masked parameter is missing, or its shape is another.
        """
        names = [name for name in self if not name.startswith(GATE)]
        self._check_names(names, {name: tuple(weight.shape) for name, weight in weights.items()})
        # Not weight * mask: that makes -0.0 of a negative weight, and NaN of an infinite one.
        masked = {name: _masked(weights[name], self[name]) for name in names}
        return {**weights, **masked}

    def check(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Refuse a network that this is not a mask of.

        Args:
            shapes: The shapes of the network's parameters (and gates) by name.

        Raises:
            UserError: Names the first parameter or gate that is missing or has another shape.
        """
        self._check_names(self, shapes)

    def _check_names(self, names: Iterable[str], shapes: Mapping[str, Sequence[int]]) -> None:
        for name in names:
            if name not in shapes:
                raise UserError(
                    f"This is a mask of another network. {unknown('weight', name, shapes)}"
                )
            if tuple(shapes[name]) != self.shapes[name]:
                raise UserError(
                    f"This is a mask of another network: {name!r} has the shape "
                    f"{list(self.shapes[name])} in the mask, {list(shapes[name])} in the network."
                )

    def pack(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """One bit an entry: uint8 tensors by name, and metadata, as a safetensors file has them."""
        tensors = {name: _pack(tensor) for name, tensor in self.items()}
        return tensors, {"format": FORMAT, "shapes": json.dumps(self.shapes)}


def unpack(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None) -> Mask:
    """The mask that was packed.

    Raises:
        DamageError: Names, shapes, lengths or padding are not what packing writes.
    """
    shapes = _shapes(metadata or {})
    if set(shapes) != set(tensors):
        differing = sorted(set(shapes) ^ set(tensors))
        raise DamageError(f"The mask is damaged: {differing} has a shape or bits, but not both.")
    return Mask({name: _unpack(name, tensors[name], shape) for name, shape in shapes.items()})


def _counts(tensors: Sequence[Tensor]) -> list[int]:
    """How many entries of each are true; a device is waited for once."""
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [int(np.count_nonzero(tensor.numpy())) for tensor in tensors]
    counts: list[int] = torch.stack([tensor.count_nonzero() for tensor in tensors]).tolist()
    return counts


def _masked(weight: Tensor, keep: Tensor) -> Tensor:
    return torch.where(keep.to(weight.device), weight, weight.new_zeros(()))


def _pack(tensor: Tensor) -> Tensor:
    bits = tensor.reshape(-1).cpu().numpy()
    return torch.from_numpy(np.packbits(bits, bitorder="little"))


def _shapes(metadata: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """The shapes that a packed mask states."""
    if metadata.get("format") != FORMAT:
        raise DamageError(f"This is no mask, or a newer one: its format is not {FORMAT!r}.")
    try:
        shapes = json.loads(metadata["shapes"])
    except (KeyError, ValueError) as error:
        raise DamageError("The mask is damaged: its shapes cannot be read.") from error
    if not isinstance(shapes, dict) or not all(map(_is_shape, shapes.values())):
        raise DamageError("The mask is damaged: its shapes are not lists of sizes.")
    return {name: tuple(shape) for name, shape in shapes.items()}


def _is_shape(shape: object) -> bool:
    return isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)


def _unpack(name: str, packed: Tensor, shape: tuple[int, ...]) -> Tensor:
    count = prod(shape)
    length = -(-count // 8)
    if packed.dtype != torch.uint8 or tuple(packed.shape) != (length,):
        raise DamageError(
            f"The mask of {name!r} is damaged: it has {tuple(packed.shape)} of {packed.dtype}, "
            f"where the shape {list(shape)} takes ({length},) of torch.uint8."
        )
    bits = np.unpackbits(packed.cpu().numpy(), bitorder="little")
    if bits[count:].any():
        raise DamageError(f"The mask of {name!r} is damaged: bits past its {count} are set.")
    return torch.from_numpy(bits[:count].astype(np.bool_)).reshape(shape)
