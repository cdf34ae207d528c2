"""What has come out of the runs of a study: numbers over replicates, and what is not there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from branches.opened import Run
from branches.run import Job
from foundations.errors import DamageError
from foundations.run_directory import RunState
from foundations.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foundations.description import Description
    from foundations.run_directory import RunDirectory
    from papers.paper import Cell, Measure, Study


@dataclass(frozen=True)
class Spread:
    """A number of several replicates.

    Args:
        values: One for each that has it.
    """

    values: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """How many replicates have it."""
        return len(self.values)

    @property
    def mean(self) -> float | None:
        """Their mean; None of none."""
        return math.fsum(self.values) / self.count if self.values else None

    @property
    def deviation(self) -> float | None:
        """Their sample standard deviation (over n - 1); None of fewer than two."""
        if self.mean is None or self.count < 2:
            return None
        if len(set(self.values)) == 1:  # of which the mean may be a rounding away
            return 0.0
        squares = ((value - self.mean) ** 2 for value in self.values)
        return math.sqrt(math.fsum(squares) / (self.count - 1))


@dataclass(frozen=True)
class Found:
    """A cell with what came out.

    Args:
        cell: What is asked for.
        spread: What was measured.
    """

    cell: Cell
    spread: Spread

    @property
    def difference(self) -> float | None:
        """What was measured less what was published; None where either lacks."""
        mean, published = self.spread.mean, self.cell.published
        return None if mean is None or published is None else mean - published.value


@dataclass(frozen=True)
class Results:
    """The runs of some replicates, as far as they are done.

    Args:
        root: Where the runs are kept.
        data_root: Where data sets are; measures that open a network need its shape.
        replicates: Which repetitions are looked at.
    """

    root: Path
    data_root: Path
    replicates: tuple[int, ...]
    _numbers: dict[tuple[tuple[str, ...], int, Measure], float | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def of(self, runs: Sequence[Description], measure: Measure) -> Spread:
        """A measure of these runs, over the replicates in which all of them are done."""
        if not runs:
            return Spread()
        every = (self._number(runs, replicate, measure) for replicate in self.replicates)
        return Spread(tuple(number for number in every if number is not None))

    def table(self, study: Study) -> dict[tuple[str, str], Found]:
        """What came out, for each cell of the table."""
        return {
            (row, column): Found(cell, self.of(cell.runs, cell.measure))
            for row, column, cell in study.table.in_order
        }

    def not_done(self, study: Study) -> dict[Job, str]:
        """Why runs of a study are not there, in a few words: ``missing``, ``running``, ..."""
        jobs = [Job(run, replicate) for replicate in self.replicates for run in study.runs]
        reasons = {job: _reason(self._directory(job.description, job.replicate)) for job in jobs}
        return {job: reason for job, reason in reasons.items() if reason}

    @cached_property
    def _store(self) -> Store:
        return Store(self.root)

    def _directory(self, run: Description, replicate: int) -> RunDirectory:
        return self._store.run(run, replicate)

    def _number(
        self, runs: Sequence[Description], replicate: int, measure: Measure
    ) -> float | None:
        """A measure of one replicate; each is read once."""
        key = tuple(run.name for run in runs), replicate, measure
        if key not in self._numbers:
            try:
                self._numbers[key] = self._read(runs, replicate, measure)
            except DamageError:  # which ``not_done`` tells of
                self._numbers[key] = None
        return self._numbers[key]

    def _read(self, runs: Sequence[Description], replicate: int, measure: Measure) -> float | None:
        opened = [Run(self._directory(run, replicate), self.data_root) for run in runs]
        if any(run.state is not RunState.DONE for run in opened):
            return None
        if measure.read is not None:
            return measure.read(*opened)
        seal = opened[0].directory.done() or {"metrics": {}}
        value = seal["metrics"].get(measure.name)
        return None if value is None else float(value)


def _reason(directory: RunDirectory) -> str:
    """Why the run is not done, or cannot be read; nothing, if it is as it should be."""
    state = directory.state
    try:
        if state is RunState.DONE:
            directory.check_sealed()
            return ""
        told = directory.failure() if state is RunState.FAILED else None
    except DamageError as error:
        return f"damaged: {error}"
    if told is not None:
        return f"failed: {told}"
    return "missing" if state is RunState.NEW else state.value
