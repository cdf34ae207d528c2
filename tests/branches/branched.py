"""Branches of the small runs, and what is compared of them, bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from branches.lineages import lottery
from branches.lottery_rewind import LotteryRewind
from branches.opened import Run
from foundations.description import BranchDesc
from foundations.steps import Step
from tests.branches.runs import dense, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from branches.base import Branch
    from foundations.description import Description
    from pruning.mask import Mask


def on(parent: Description, branch: Branch) -> BranchDesc:
    """A branch of a run."""
    return BranchDesc(parent=parent, branch=branch)


def levels(
    last: int, parent: Description | None = None, rewinding_steps: str = "0ep", **hparams: Any
) -> tuple[Description, ...]:
    """The levels of a lottery of ``dense()`` or of another run."""
    level = LotteryRewind(rewinding_steps=Step.parse(rewinding_steps), **hparams)
    return lottery(parent or dense(), level, last)


def opened(root: Path, description: Description, replicate: int = 1) -> Run:
    """The run, carried out in this process, and opened."""
    return Run(run(root, description, replicate=replicate), root.parent / "data")


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """The names of the tensors that differ in any bit."""
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(_bits(one[name]), _bits(other[name]))]


def masked(weights: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
    """The weights with zeros where the mask cuts; what it has no entry for stays."""
    cut = {name: value.clone() for name, value in weights.items()}
    for name, keep in mask.items():
        cut[name][~keep] = 0.0
    return cut


def _bits(value: Tensor) -> Tensor:
    return value.contiguous().view(torch.uint8) if value.dim() else value
