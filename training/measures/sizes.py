"""How large a network is: operations by convention, parameters, stored bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from models.gates import GATE
from pruning.accounting import VALUE, account
from pruning.compaction import compact
from pruning.conventions import CONVENTIONS
from pruning.counting import operations
from training.measures.variants import COMPACTED, DENSE, MASKED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from pruning.mask import Mask
    from training.measures.variants import Variants


class Operations(TypedDict):
    """Of one image, by a convention."""

    convention: str
    unit: str
    count: dict[str, int]
    """By the name of the variant."""


class Flops(TypedDict):
    """What a network computes."""

    parameters: dict[str, int]
    """By the name of the variant; the masked one's are those that are kept."""
    operations: list[Operations]


class Compression(TypedDict):
    """What it takes to store a network: its tensors, without the headers of files."""

    unit: str
    stored: dict[str, int]
    """By the name of the variant; the masked one is packed: kept values and one bit an entry."""
    ratio: dict[str, float]
    """How many times smaller than the dense one the others are."""


def flops(variants: Variants, conventions: Sequence[str] = ("macs",)) -> Flops:
    """Operations and parameters of each variant.

    Args:
        variants: The networks.
        conventions: Names of ``pruning.conventions.CONVENTIONS``.

    Raises:
        UserError: There is no such convention, or the network cannot be traced.
    """
    subject = variants.subject
    shape, name = subject.setting.data.shape, subject.setting.recipe.model.model_name
    found = {variant: operations(network, shape) for variant, network in _bare(variants).items()}
    if subject.mask is not None:
        found[MASKED] = operations(variants.networks[DENSE], shape, subject.mask)
    rules = {convention: CONVENTIONS[convention] for convention in conventions}
    return {
        "parameters": parameters(variants),
        "operations": [
            {
                "convention": convention,
                "unit": rule.unit,
                "count": {each: rule.count(found[each], name) for each in variants.networks},
            }
            for convention, rule in rules.items()
        ],
    }


def compression(variants: Variants) -> Compression:
    """Stored bytes of each variant, and how much that saves."""
    subject = variants.subject
    shape = subject.setting.data.shape
    counted = account(variants.networks[DENSE], shape, subject.mask, subject.wiring)
    parts = counted["total"]["bytes"], counted["others"]["bytes"]
    packed = counted["total"]["bytes_packed"], counted["others"]["bytes_packed"]
    stored = {DENSE: sum(parts)}
    if subject.mask is not None:
        stored[MASKED] = sum(packed)
        stored[COMPACTED] = stored_bytes(variants.networks[COMPACTED])
    ratio = {name: stored[DENSE] / size for name, size in stored.items() if name != DENSE}
    return {"unit": "bytes", "stored": stored, "ratio": ratio}


def stored_bytes(network: nn.Module) -> int:
    """Of a network's parameters and buffers: numbers as float32, whatever the run's precision."""
    return sum(
        tensor.numel() * (VALUE if tensor.is_floating_point() else tensor.element_size())
        for tensor in network.state_dict().values()
    )


def cut_of(mask: Mask) -> int:
    """How many parameters a mask cuts; gates are none."""
    layers = (layer for name, layer in mask.layers.items() if not name.startswith(GATE))
    return sum(layer.total - layer.kept for layer in layers)


def parameters(variants: Variants) -> dict[str, int]:
    """How many each variant has; of the masked one, those that are kept."""
    mask = variants.subject.mask
    found = {name: compact.parameters(network) for name, network in _bare(variants).items()}
    if mask is None:
        return found
    return {DENSE: found[DENSE], MASKED: found[DENSE] - cut_of(mask), COMPACTED: found[COMPACTED]}


def _bare(variants: Variants) -> Mapping[str, nn.Module]:
    """Those that have no gates."""
    return {name: net for name, net in variants.networks.items() if name != MASKED}
