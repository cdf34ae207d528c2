"""What compaction makes of a run's network: the smaller network, and whether it does the same."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import torch
from torch import Tensor, fx, nn

from foundations.errors import OpenPruneError
from models.portable.describe import tensors
from pruning.accounting import account
from pruning.compaction.compact import compacted, parameters
from pruning.conventions import CONVENTIONS
from pruning.counting import operations
from pruning.mask import Mask
from training.evaluation import Evaluation
from training.measures.accuracy import evaluate
from training.measures.sizes import cut_of, stored_bytes

if TYPE_CHECKING:
    from training.measures.subject import Subject

TOLERANCE = 1e-9
"""How far outputs in float64 may differ, relative to the largest of them, or to 1 if that is less:
rounding alone, of sums in another order."""

_AT_ONCE = 64
"""Images that are compared at once: it decides memory alone."""


class Size(TypedDict):
    """How large a network is."""

    parameters: int
    macs: int
    """Multiply-accumulates for one image."""
    bytes: int
    """Stored: parameters and buffers."""
    accuracy: float | None
    """On the test split, in [0, 1]."""


@dataclass(frozen=True)
class Compacted:
    """A network that was made smaller, and what was measured of it."""

    network: fx.GraphModule
    """In evaluation mode, on the CPU, in the dtype of the run."""

    dense: Size
    """Without the mask; its accuracy is not measured."""

    masked: Size
    """Kept weights alone, packed as ``pruning.accounting`` says."""

    compacted: Size
    difference: float
    """The largest difference of its outputs from the masked network's, both in float64."""

    examples: int
    """On how many test images."""


def compact(subject: Subject, examples: int) -> Compacted:
    """Make the network of a run as small as its mask allows, and compare the two.

    Args:
        subject: The network at a state.
        examples: On how many images of the test split, spread over it, outputs are compared.

    Raises:
        UserError: The network cannot be traced.
        OpenPruneError: The smaller network gives other outputs.
    """
    setting = subject.setting
    network, shape = setting.network(), setting.data.shape
    mask = subject.mask or Mask({})
    wide = {name: _double(tensor) for name, tensor in subject.weights.items()}
    small = compacted(network.double(), shape, wide, mask).eval()
    images = test_images(subject, examples)
    difference = _compared(subject, small, images)
    small = small.to(subject.numerics.dtype)
    dense, masked = _sizes(subject, mask)
    (of_masked,) = evaluate(subject)
    masked["accuracy"] = of_masked["metrics"]["accuracy"]
    left = _size(subject, small)  # on the device, where the images are
    return Compacted(small.cpu(), dense, masked, left, difference, len(images))


def test_images(subject: Subject, examples: int) -> Tensor:
    """Images of the test split, spread evenly over it, normalized: (B, C, H, W)."""
    batches = subject.setting.evaluation("test")
    if batches is None:
        raise AssertionError("Every data set has a test split.")
    wanted = torch.linspace(0, batches.examples - 1, min(examples, batches.examples)).long()
    found, first = list[Tensor](), 0
    for images, labels in batches:
        here = wanted[(wanted >= first) & (wanted < first + len(labels))] - first
        found.append(images[here.to(images.device)])
        first += len(labels)
    return torch.cat(found)


def _compared(subject: Subject, small: nn.Module, images: Tensor) -> float:
    """The largest difference in float64.

    Raises:
        OpenPruneError: It is more than rounding.
    """
    masked = copy.deepcopy(subject.network()).double()
    masked.load_state_dict({name: _double(value) for name, value in subject.weights.items()})
    largest = scale = 0.0
    with torch.no_grad():
        for batch in torch.split(images.double(), _AT_ONCE):
            ours, theirs = masked(batch), small(batch)
            largest = max(largest, float((ours - theirs).abs().max()))
            scale = max(scale, float(ours.abs().max()))
    if not largest <= TOLERANCE * max(1.0, scale):  # also where it is not a number
        raise OpenPruneError(
            f"The compacted network gives outputs that differ from the masked network's by up to "
            f"{largest:.3g}, where rounding explains {TOLERANCE * max(1.0, scale):.3g}. It was not "
            "written."
        )
    return largest


def _sizes(subject: Subject, mask: Mask) -> tuple[Size, Size]:
    """The dense network's, and the masked one's."""
    network = subject.setting.network()
    counts = account(network, subject.setting.data.shape, mask, subject.wiring)
    total, others = counts["total"], counts["others"]
    whole = parameters(network)
    dense: Size = {
        "parameters": whole,
        "macs": total["macs"],
        "bytes": total["bytes"] + others["bytes"],
        "accuracy": None,
    }
    packed = total["bytes_packed"] + others["bytes_packed"]
    return dense, {
        "parameters": whole - cut_of(mask),
        "macs": total["macs_kept"],
        "bytes": packed,
        "accuracy": None,
    }


def _size(subject: Subject, small: fx.GraphModule) -> Size:
    """Of the smaller network, which is measured on the test split."""
    setting = subject.setting
    batches = setting.evaluation("test")
    if batches is None:
        raise AssertionError("Every data set has a test split.")
    weights = tensors(small)
    metrics = Evaluation(small, setting.recipe.training).measure(weights, batches)
    return {
        "parameters": parameters(small),
        "macs": CONVENTIONS["macs"].count(operations(small, setting.data.shape)),
        "bytes": stored_bytes(small),
        "accuracy": metrics["accuracy"],
    }


def _double(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value
