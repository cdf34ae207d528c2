"""Moments of training: ``160ep``, ``50000it``, ``3ep200it``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundations.errors import UserError
from foundations.values import whole

_PATTERN = re.compile(r"(?:(?P<epoch>\d+)ep)?(?:(?P<iteration>\d+)it)?")


@dataclass(frozen=True)
class Step:
    """So many epochs and, beyond them, so many iterations after the start of training.

    A step is written down as it was given: how many iterations an epoch has depends on the data
    set, so ``391it`` and ``1ep`` are different descriptions of what may be the same moment.
    """

    epoch: int = 0
    iteration: int = 0

    def __post_init__(self) -> None:
        for name in ("epoch", "iteration"):
            try:
                object.__setattr__(self, name, whole(getattr(self, name)))
            except ValueError as error:
                raise UserError(f"A step is made of whole numbers: {error}.") from None
        if self.epoch < 0 or self.iteration < 0:
            raise UserError(f"A step cannot be negative: {self.epoch}ep{self.iteration}it.")

    @classmethod
    def parse(cls, text: str) -> Step:
        """The step written as ``3ep``, ``200it`` or ``3ep200it``."""
        match = _PATTERN.fullmatch(text.strip())
        if match is None or not match.group():
            raise UserError(
                f"{text!r} is not a step: write epochs and iterations as '3ep', '200it' "
                "or '3ep200it'."
            )
        return cls(int(match["epoch"] or 0), int(match["iteration"] or 0))

    @classmethod
    def at(cls, iteration: int, iterations_per_epoch: int) -> Step:
        """The step after so many iterations, with as many whole epochs as they make."""
        return cls(*divmod(iteration, iterations_per_epoch))

    def iterations(self, iterations_per_epoch: int) -> int:
        """How many iterations this step is after the start of training."""
        return self.epoch * iterations_per_epoch + self.iteration

    @property
    def folder(self) -> str:
        """The name of the folder that holds the state at this step: ``ep3_it200``."""
        return f"ep{self.epoch}_it{self.iteration}"

    def __str__(self) -> str:
        epochs = f"{self.epoch}ep" if self.epoch or not self.iteration else ""
        return epochs + (f"{self.iteration}it" if self.iteration else "")


def parse_steps(text: str) -> tuple[Step, ...]:
    """The steps of a comma-separated list; none of an empty text."""
    return tuple(Step.parse(part) for part in text.split(",") if part.strip())
