"""What a published study is, as data: its runs, its tables and figures, its published numbers.

Nothing here runs or prints anything. ``papers.reading`` looks up what has come out of the runs,
``papers.rendering`` writes tables, ``papers.figures`` draws. All numbers are as they are measured,
accuracies in [0, 1]: a ``Measure`` says how its numbers are shown.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from foundations.description import Description

    Read = Callable[..., float | None]
    """A number of one or several runs of a replicate, each a ``branches.opened.Run``; None where
    they have not measured it. It may be asked of runs that are done alone."""


class Scale(enum.Enum):
    """How large a study is carried out."""

    SMOKE = "smoke"
    """The same experiment from end to end in about a minute: tiny networks, one replicate."""
    FULL = "full"
    """As published."""


@dataclass(frozen=True)
class Measure:
    """A number that runs have, and how it is shown.

    Args:
        name: What it is, as heads and axes say it; without ``read``, the name of an end metric:
            ``"test accuracy"``.
        read: What it is of a run, or of the several of a cell.
        factor: What numbers are multiplied with to be shown.
        digits: How many decimals are shown.
        unit: What is shown behind them: ``"%"``.
    """

    name: str
    read: Read | None = None
    factor: float = 1.0
    digits: int = 4
    unit: str = ""

    @property
    def label(self) -> str:
        """The name with the unit: ``test accuracy (%)``."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Published:
    """A number that was published.

    Args:
        value: In the unit of the measure, not as it is shown: an accuracy in [0, 1].
        deviation: Of its replicates, where it was given.
        where: Where it stands: ``"Table 3"``.
    """

    value: float
    deviation: float | None = None
    where: str = ""


@dataclass(frozen=True)
class Cell:
    """A number of a table.

    Args:
        run: Whose; None where the study has a published number alone.
        measure: Which number.
        published: What was published.
        also: Further runs that ``measure.read`` is given, behind ``run``.
    """

    run: Description | None
    measure: Measure
    published: Published | None = None
    also: tuple[Description, ...] = ()

    @property
    def runs(self) -> tuple[Description, ...]:
        """All runs that the number is of."""
        return (*((self.run,) if self.run is not None else ()), *self.also)


@dataclass(frozen=True)
class Table:
    """Rows and columns of numbers.

    Args:
        title: What it shows.
        corner: What the rows are: ``"strategy"``.
        rows: Their heads, in order.
        columns: Theirs.
        cells: By row and column; one that is not there is left empty.
    """

    title: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]

    def __post_init__(self) -> None:
        heads = {(row, column) for row in self.rows for column in self.columns}
        if strange := self.cells.keys() - heads:
            raise ValueError(f"No such row and column in {self.title!r}: {sorted(strange)}.")

    @property
    def in_order(self) -> Iterator[tuple[str, str, Cell]]:
        """Row, column and cell of those that are there, row by row."""
        for row in self.rows:
            for column in self.columns:
                if (row, column) in self.cells:
                    yield row, column, self.cells[row, column]


@dataclass(frozen=True)
class Point:
    """A point of a curve.

    Args:
        run: Whose numbers; None for a published point.
        x: Where, or what is read there; by default what the figure has along its axis.
        y: What is read; by default what the figure has.
        published: The published height, for which ``x`` is a number.
    """

    run: Description | None
    x: float | Measure | None = None
    y: Measure | None = None
    published: Published | None = None


@dataclass(frozen=True)
class Curve:
    """One line of a figure: a method.

    Args:
        label: What the legend calls it.
        points: In the order in which they are joined.
    """

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Baseline:
    """A level line across a figure: the dense network."""

    label: str
    run: Description
    y: Measure | None = None


@dataclass(frozen=True)
class Figure:
    """Curves over one axis.

    Args:
        name: The name of its files, without their endings.
        title: What it shows.
        x: What is along the axis.
        y: What is above it.
        curves: One for each method.
        baselines: Level lines.
        log_x: Whether the axis is logarithmic.
        falling_x: Whether it runs from large to small, as weights left do.
    """

    name: str
    title: str
    x: Measure
    y: Measure
    curves: tuple[Curve, ...]
    baselines: tuple[Baseline, ...] = ()
    log_x: bool = False
    falling_x: bool = False


@dataclass(frozen=True)
class Study:
    """One table of a paper, with the figures that belong to it, at one scale.

    Args:
        table: The table.
        figures: Pictures of the same runs, or of others.
        replicates: Which repetitions are run, unless others are asked for.
        options: What the runs record: top-5 accuracy, accuracy on training examples, ...
        notes: Lines below the table: what differs from the paper, and why.
    """

    table: Table
    figures: tuple[Figure, ...] = ()
    replicates: tuple[int, ...] = (1,)
    options: RunOptions = field(default_factory=RunOptions)
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[Description, ...]:
        """The runs of its cells, curves and lines, each once, in that order."""
        points = [point for figure in self.figures for c in figure.curves for point in c.points]
        lines = [line.run for figure in self.figures for line in figure.baselines]
        found = (
            *(run for _, _, cell in self.table.in_order for run in cell.runs),
            *(point.run for point in points if point.run is not None),
            *lines,
        )
        return tuple({run.name: run for run in found}.values())


@dataclass(frozen=True)
class Paper:
    """A published study.

    Args:
        name: As the command line has it.
        title: Of the paper.
        citation: Authors, place and year.
        studies: By the names of ``--table``, what makes each at a scale.
    """

    name: str
    title: str
    citation: str
    studies: Mapping[str, Callable[[Scale], Study]]
