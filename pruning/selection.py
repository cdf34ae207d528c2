"""How the count is met: exactly, or as published codes do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from pruning.select import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from pruning.subject import Subject


class Selection(Protocol):
    """How a selection looks to whoever prunes by it."""

    def cut(
        self,
        scores: Mapping[str, Tensor],
        kept: Mapping[str, Tensor],
        count: int,
        *,
        highest: bool,
    ) -> dict[str, Tensor]:
        """What is kept after ``count`` more of the kept entries are cut, by their scores."""


@dataclass(frozen=True)
class Exact:
    """Exactly the count that is asked for, ties by position."""

    @classmethod
    def of(cls, subject: Subject) -> Self:  # noqa: ARG003 - the interface's
        """It has no settings."""
        return cls()

    def cut(
        self,
        scores: Mapping[str, Tensor],
        kept: Mapping[str, Tensor],
        count: int,
        *,
        highest: bool,
    ) -> dict[str, Tensor]:
        """See ``select.cut``."""
        return cut(scores, kept, count, highest=highest)
