"""How the count is met: exactly, or as published codes do."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Protocol, Self

from pruning.select import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from pruning.subject import Subject


class Selection(Protocol):
    """How a selection looks to whoever prunes by it."""

    def target(self, kept: int, total: int, target: int) -> int:
        """How many a round is to keep, of those that are kept so far.

        Args:
            kept: How many those are.
            total: How many there are, those cut before included.
            target: How many the schedule says.
        """

    def cut(
        self,
        scores: Mapping[str, Tensor],
        kept: Mapping[str, Tensor],
        count: int,
        *,
        highest: bool,
    ) -> dict[str, Tensor]:
        """What is kept after ``count`` more of the kept entries are cut, by their scores.

        Raises:
            RunFailedError: The score of a kept entry is not a number.
        """


@dataclass(frozen=True)
class Exact:
    """Exactly the count that is asked for, ties by position."""

    @classmethod
    def of(cls, subject: Subject) -> Self:  # noqa: ARG003 - the interface's
        """It has no settings."""
        return cls()

    def target(self, kept: int, total: int, target: int) -> int:  # noqa: ARG002 - the interface's
        """What the schedule says."""
        return target

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


class _Threshold:
    """All up to the n-th score, counted from 0: one more than n, and all that equal it.

    Of the highest, n and all that equal the last of them. Where n is 0 nothing is cut, and where
    it is all there are, all: there, the codes whose rule this is crash.
    """

    def cut(
        self,
        scores: Mapping[str, Tensor],
        kept: Mapping[str, Tensor],
        count: int,
        *,
        highest: bool,
    ) -> dict[str, Tensor]:
        """What is kept when ``count`` is the n."""
        available = sum(int(keep.sum()) for keep in kept.values())
        more = 1 if count and not highest else 0
        fewer = cut(scores, kept, min(count + more, available), highest=highest)
        gone = [scores[name][kept[name] & ~fewer[name]] for name in kept]
        ends = [part.min() if highest else part.max() for part in gone if part.numel()]
        if not ends:
            return fewer
        edge = min(ends) if highest else max(ends)
        better = {name: scores[name] < edge if highest else scores[name] > edge for name in kept}
        return {name: fewer[name] & better[name] for name in fewer}


@dataclass(frozen=True)
class PublishedThreshold(_Threshold):
    """As OpenLTH has it, in each of the rounds: n is what is left times the fraction, rounded up.

    The fault is the original's, of "Pruning Neural Networks at Initialization: Why Are We Missing
    the Mark?" (Frankle et al. 2021): up to one more goes than is asked for, and all ties. The
    schedule is geometric in what then remains, whatever went in excess.
    """

    fraction: float
    """What is cut in each round of what remains."""

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """The fraction of a round from that of all."""
        hparams = subject.hparams
        return cls(1 - (1 - hparams.prune_fraction) ** (1 / hparams.prune_iterations))

    def target(self, kept: int, total: int, target: int) -> int:  # noqa: ARG002 - the interface's
        """What is kept of what is left, without what goes in excess."""
        return kept - min(kept, ceil(self.fraction * kept))


@dataclass(frozen=True)
class PublishedThresholdFloor(_Threshold):
    """As weight-level pruning has it: n is the number times the fraction, rounded down.

    The rule of the weight-level experiments of "Rethinking the Value of Network Pruning" (Liu et
    al. 2019), whose fractions are of all weights, and of what remains in their lottery tickets.
    """

    fraction: float
    of_all: bool = False

    @classmethod
    def of(cls, subject: Subject) -> Self:
        """The fraction, by its convention."""
        hparams = subject.hparams
        return cls(hparams.prune_fraction, hparams.prune_fraction_of == "all")

    def target(self, kept: int, total: int, target: int) -> int:  # noqa: ARG002 - the interface's
        """What is kept, without what goes in excess."""
        cut_of_all = int(total * self.fraction)
        return min(kept, total - cut_of_all) if self.of_all else kept - int(kept * self.fraction)
