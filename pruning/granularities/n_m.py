"""N:M: of every m neighbours n are kept, as sparse tensor cores want it (2:4)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import torch
from torch.nn.functional import pad

from foundations.errors import UserError
from pruning.granularity import Weights, refuse_reduction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from pruning.hparams import PruningHparams
    from pruning.mask import Mask
    from pruning.subject import Subject


@dataclass(frozen=True)
class NM(Weights):
    """Of each m weights that follow each other along the inputs, the best n at most are kept.

    Neighbours are the weights of one output and one place in the kernel from input channels km to
    km + m - 1, as in "Accelerating Sparse Deep Neural Networks" (Mishra et al. 2021). Where m does
    not divide the inputs, the last group of each row is smaller, and keeps n of what it has. What
    is cut so far counts as cut: a group that has n or fewer left loses nothing.
    """

    n: int
    m: int
    highest: bool = False
    """Whether the highest scores go."""

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """With the n and m that are asked for.

        Raises:
            UserError: A fraction, a schedule or an allocation is asked for that n and m contradict.
        """
        refuse_reduction(subject)
        _check(subject.hparams)
        n, m = subject.hparams.n_m
        return cls(n, m, subject.hparams.prune_highest)

    def compared(self, scores: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
        """How far each weight is from going: what lies below zero goes, in all layers.

        In each group, the rank among what is kept, less how many are to go; ties by position.
        """
        return {name: self._margins(scores[name], mask[name]) for name in scores}

    def goal(self, units: Mask) -> int:
        """What all groups keep."""
        return sum(
            int(_groups(kept, self.m, fill=False).sum(1).clamp(max=self.n).sum())
            for kept in units.values()
        )

    def _margins(self, scores: Tensor, kept: Tensor) -> Tensor:
        sign = -1 if self.highest else 1
        values = torch.where(kept, sign * scores, float("nan"))
        # Sorting puts what is not a number last, so that ranks are those among what is kept.
        order = _groups(values, self.m, fill=float("nan")).argsort(dim=1, stable=True)
        ranks = order.argsort(1)
        goes = (_groups(kept, self.m, fill=False).sum(1, keepdim=True) - self.n).clamp(min=0)
        margins = _ungrouped(sign * (ranks - goes + 0.5), kept, self.m).to(scores.dtype)
        return torch.where(kept & scores.isnan(), scores, margins)  # which selection refuses


def _check(hparams: PruningHparams) -> None:
    n, m = hparams.n_m
    default = next(f.default for f in fields(hparams) if f.name == "prune_fraction")
    share = n / m if hparams.prune_fraction_of == "kept" else 1 - n / m
    asked = hparams.prune_fraction
    problem = {
        f"prune_fraction={asked}": asked != default and abs(asked - share) > 1e-9,
        f"prune_iterations={hparams.prune_iterations}": hparams.prune_iterations != 1,
        f"schedule={hparams.schedule}": hparams.schedule != "geometric",
        f"allocation={hparams.allocation}": hparams.allocation != "global",
        f"selection={hparams.selection}": hparams.selection != "exact",
        "minimum_kept": hparams.minimum_kept != 0,
        "minimum_fraction": hparams.minimum_fraction != 0,
    }
    for what, is_one in problem.items():
        if is_one:
            raise UserError(
                f"--granularity=n_m keeps {n} of every {m} in every layer, at once: leave out "
                f"--{what}."
            )


def _groups(values: Tensor, m: int, *, fill: float) -> Tensor:
    """(groups, m): neighbours along the inputs, the last group of a row filled up."""
    rows = values.movedim(1, -1)
    return pad(rows, (0, -rows.shape[-1] % m), value=fill).reshape(-1, m)


def _ungrouped(groups: Tensor, like: Tensor, m: int) -> Tensor:
    """The inverse of ``_groups``, in the shape of a weight."""
    inputs = like.shape[1]
    rows = groups.reshape(*like.movedim(1, -1).shape[:-1], inputs + -inputs % m)
    return rows[..., :inputs].movedim(-1, 1)
