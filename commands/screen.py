"""How a survey of runs is shown: as text, and on a terminal as a screen that is kept up to date."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Self

from commands.text import counts, duration
from sweeps.survey import Status, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, RenderableType
    from rich.live import Live

    from sweeps.survey import Row

_SECTIONS = (
    Status.RUNNING,
    Status.FAILED,
    Status.DAMAGED,
    Status.WAITING,
    Status.BLOCKED,
    Status.INTERRUPTED,
    Status.MISSING,
)
"""What is listed, what matters most first; the rest is only counted."""

_STYLES = {Status.RUNNING: "green", Status.FAILED: "red", Status.DAMAGED: "red"}

_NAME_CUT = "/replicate_"


@dataclass(frozen=True)
class Section:
    """The runs that stand alike.

    Args:
        status: Where they stand.
        runs: How many they are.
        lines: What is told of each, or of several at once: cells.
        fractions: How much of it lies behind each; None where that is not shown.
    """

    status: Status
    runs: int
    lines: tuple[tuple[str, ...], ...]
    fractions: tuple[float | None, ...]


def as_text(rows: Sequence[Row]) -> str:
    """All that is to be told, for a file or a pipe: nothing is cut."""
    said = [headline(rows)]
    for section in sections(rows):
        said += ["", f"{section.status.value}:"]
        said += ["  " + "  ".join(filter(None, cells)) for cells in section.lines]
    return "\n".join(said)


def headline(rows: Sequence[Row]) -> str:
    """How many runs stand where: ``12 runs: 9 done, 1 running, 2 waiting``."""
    many = f"{len(rows):,} {'run' if len(rows) == 1 else 'runs'}"
    return f"{many}: {counts(counted(rows))}" if rows else many


def sections(rows: Sequence[Row]) -> list[Section]:
    """What is listed of the runs that are not done, what matters most first."""
    found = []
    for status in _SECTIONS:
        alike = [row for row in rows if row.status is status]
        if not alike:
            continue
        if status in {Status.WAITING, Status.BLOCKED}:
            lines = tuple(_together(alike))
            found.append(Section(status, len(alike), lines, (None,) * len(lines)))
        else:
            lines = tuple(map(_cells, alike))
            bars = [row.fraction if status is Status.RUNNING else None for row in alike]
            found.append(Section(status, len(alike), lines, tuple(bars)))
    return found


def screen(rows: Sequence[Row], height: int, width: int = 80) -> RenderableType:
    """The same for a terminal: never more lines than fit.

    Args:
        rows: Where the runs stand.
        height: The lines of the terminal.
        width: Its columns.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar

    done = sum(row.status is Status.DONE for row in rows)
    listed = sections(rows)
    heads = wrap(headline(rows), width)
    parts: list[RenderableType] = [_line(head) for head in heads]
    parts.append(_expanded(ProgressBar(total=max(1, len(rows)), completed=done)))
    room = shares([len(section.lines) for section in listed], height - len(parts) - len(listed))
    if height <= len(parts):
        return Group(*parts[: max(1, height)])
    for section, lines in zip(listed[: height - len(parts)], room, strict=False):
        parts.append(_title(section, lines))
        if lines:
            parts.append(_grid(section, lines))
    return Group(*parts)


def shares(wanted: Sequence[int], room: int) -> list[int]:
    """How many lines each section has: what it wants, while all can have that, else a fair share.

    What one does not need goes to the others, the first ones first.
    """
    given = [0] * len(wanted)
    left = min(max(0, room), sum(wanted))
    while left:
        for place, most in enumerate(wanted):
            if left and given[place] < most:
                given[place] += 1
                left -= 1
    return given


class Screen:
    """A screen on a terminal that is drawn anew whenever there is something new to show.

    Use it as a context: within it ``show`` draws, and what others print appears above.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console()
        self._live: Live = Live(console=self._console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, rows: Sequence[Row]) -> None:
        """Draw where these runs stand now."""
        self._live.update(self._fitted(rows), refresh=True)

    def _fitted(self, rows: Sequence[Row]) -> RenderableType:
        return screen(rows, self._console.height - 1, self._console.width)


def _cells(row: Row) -> tuple[str, ...]:
    """A run that is told of by itself: its name, how far it is, when it will be there, who."""
    far = "" if row.fraction is None else f"{100 * row.fraction:.0f} %"
    left = "" if row.seconds_left is None else f"{duration(row.seconds_left)} left"
    who = "" if row.owner is None else str(row.owner)
    reason = " ".join(row.reason.split())
    return _short(row.run), far, left, who or reason or row.queued


def _together(rows: Iterable[Row]) -> Iterator[tuple[str, ...]]:
    """The runs that wait for the same others, or cannot begin for the same reason, in a line."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(row.others, []).append(row)
    for others, alike in groups.items():
        what = _short(alike[0].run) if len(alike) == 1 else f"{len(alike):,} runs"
        link = "wait" if alike[0].status is Status.WAITING else "need"
        many = "s" if len(alike) == 1 else ""
        whom = " and ".join(map(_short, others))
        yield what, f"{link}{many} {'for ' if link == 'wait' else ''}{whom}", "", ""


def _short(run: str) -> str:
    """``train_0123456789abcdef/2`` for ``train_0123456789abcdef/replicate_2``."""
    return run.replace(_NAME_CUT, "/")


def _title(section: Section, lines: int) -> RenderableType:
    """Where the runs of a section stand, how many these are, and whether some do not fit."""
    number = f"{section.runs:,} {'run' if section.runs == 1 else 'runs'}"
    hidden = "" if lines == len(section.lines) else ", not all shown"
    style = _STYLES.get(section.status, "bold")
    return _line(f"{section.status.value}: {number}{hidden}", style)


def _line(text: str, style: str = "") -> RenderableType:
    from rich.text import Text

    return Text(text, style=style, no_wrap=True, overflow="crop")


def _expanded(bar: RenderableType) -> RenderableType:
    """A bar as wide as the terminal, on a line of its own."""
    from rich.table import Table

    grid = Table.grid(expand=True)
    grid.add_row(bar)
    return grid


def _grid(section: Section, lines: int) -> RenderableType:
    """The first lines of a section; those of running runs have bars that take the room left."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    shown = section.lines[:lines]
    bars = section.status is Status.RUNNING
    grid = Table.grid(padding=(0, 1), expand=bars)
    name, far, left, _ = (max(map(len, column)) for column in zip(*shown, strict=True))
    grid.add_column(no_wrap=True, min_width=2 + name)
    if bars:
        grid.add_column(ratio=1)
    for least in (far, left, 0):  # the last may be cut
        grid.add_column(no_wrap=True, min_width=least)
    for cells, fraction in zip(shown, section.fractions, strict=False):
        drawn = [_line(cell) for cell in (f"  {cells[0]}", *cells[1:])]
        if bars:
            drawn.insert(1, ProgressBar(total=1.0, completed=fraction or 0.0))
        grid.add_row(*drawn)
    return grid
