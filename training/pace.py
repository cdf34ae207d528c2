"""When rounds of pruning come, in a run that is pruned while it trains."""

from __future__ import annotations

from typing import NamedTuple

from foundations.steps import Step


class Pace(NamedTuple):
    """When rounds of pruning come."""

    begin: Step
    """Where training begins."""
    after: Step
    """How long it goes on before the first round does."""
    every: Step
    """How long each round trains before it cuts."""

    def cut(self, count: int) -> Step:
        """The step at which so many cuts have been made, the last of them just now."""
        if not count:
            return self.begin
        epochs = self.begin.epoch + self.after.epoch + count * self.every.epoch
        iterations = self.begin.iteration + self.after.iteration + count * self.every.iteration
        return Step(epochs, iterations)
