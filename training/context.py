"""Where and how runs are carried out: handed down from the command line or a notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from foundations.store import Store
from platforms.stop import Stop
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from platforms.base import Platform
    from platforms.ranks import Group


class Reporter(Protocol):
    """Who is told how a run gets on."""

    def say(self, message: str) -> None:
        """Something that a user should know."""

    def warn(self, message: str) -> None:
        """Something that a user must know, who asked for quiet too."""

    def begin(self, title: str, iteration: int, end: int, per_epoch: int, examples: int) -> None:
        """A run trains from ``iteration`` to ``end``; an epoch has so many of each."""

    def step(self, iteration: int, loss: Tensor) -> None:
        """An update was made. Reading the loss may wait for the device."""

    def epoch(self, iteration: int, values: Mapping[str, float]) -> None:
        """An epoch is over, and this was measured."""

    def end(self) -> None:
        """The run trains no further."""


@dataclass(frozen=True)
class Context:
    """What every run needs besides its description.

    Args:
        platform: Where it happens.
        options: What is recorded of it.
        reporter: Who is told of it.
        stop: Whether it was asked to stop.
        group: The processes, of which this is the first, that were started to train together.
    """

    platform: Platform
    reporter: Reporter
    options: RunOptions = field(default_factory=RunOptions)
    stop: Stop = field(default_factory=Stop)
    group: Group | None = None

    def heed_others(self) -> None:
        """Stop too, where another of several processes was asked to."""
        if self.stop.requested is None:
            self.stop.requested = "a signal to another of its processes"

    def watch(self, iteration: int, loss: Tensor) -> bool:
        """Tell of an update; whether it was asked to stop."""
        self.reporter.step(iteration, loss)
        return self.stop.requested is not None

    @property
    def store(self) -> Store:
        """The runs there are."""
        return Store(self.platform.results_root())
