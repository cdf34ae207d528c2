"""How a figure is drawn: one line a method, bands over replicates, level lines."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

from foundations.errors import UserError
from papers.paper import Measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from papers.paper import Baseline, Curve, Figure, Point
    from papers.reading import Results

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Told apart by the colour-blind (Okabe and Ito 2008); yellow is too pale for a line."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
_DASHES = ("-", "--", ":", "-.")
_SIZE = (6.4, 4.2)
_DPI = 150
_WIDE = 5.0
"""A logarithmic axis from a number to so many times it has ticks at 1, 2, 5, 10, 20, ..."""

_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
"""Nothing of when and with what: the same runs give the same bytes."""


@dataclass(frozen=True)
class Trace:
    """The points of a curve that there are, as they are shown: height, and half the band."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    deviations: tuple[float, ...]


def drawn(figure: Figure, results: Results, formats: Sequence[str]) -> dict[str, bytes]:
    """The figure as files, by their endings: ``pdf``, ``png``.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise UserError("Figures need matplotlib: pip install matplotlib.") from error
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"pdf.fonttype": 42, "font.size": 10, "axes.axisbelow": True})
        canvas = Canvas(figsize=_SIZE, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(canvas)
        _draw(figure, results, canvas)
        return {ending: _saved(canvas, ending) for ending in formats}


def traced(curve: Curve, figure: Figure, results: Results) -> Trace:
    """The points of a curve that have both a place and a height, in their order."""
    points = [_place(point, figure, results) for point in curve.points if point.run is not None]
    xs, ys, deviations = zip(*filter(None, points), strict=True) if any(points) else ((), (), ())
    return Trace(xs, ys, deviations)


def _published(curve: Curve, figure: Figure) -> Trace:
    points = [
        (point.x * figure.x.factor, point.published)
        for point in curve.points
        if point.published is not None and isinstance(point.x, int | float)
    ]
    factor = figure.y.factor
    return Trace(
        tuple(x for x, _ in points),
        tuple(number.value * factor for _, number in points),
        tuple((number.deviation or 0.0) * factor for _, number in points),
    )


def _place(point: Point, figure: Figure, results: Results) -> tuple[float, float, float] | None:
    """Where a point is, in the units of the axes; None where it has not been measured."""
    if point.run is None:
        return None
    x, y = figure.x if point.x is None else point.x, point.y or figure.y
    place = results.of((point.run,), x).mean if isinstance(x, Measure) else x
    height = results.of((point.run,), y)
    if place is None or height.mean is None:
        return None
    factor = figure.y.factor
    return place * figure.x.factor, height.mean * factor, (height.deviation or 0.0) * factor


def _saved(canvas: Canvas, ending: str) -> bytes:
    file = io.BytesIO()
    canvas.savefig(file, format=ending, metadata=_METADATA.get(ending))
    return file.getvalue()


def _draw(figure: Figure, results: Results, canvas: Canvas) -> None:
    axes = canvas.add_subplot()
    axes.set_title(figure.title, fontsize=11)
    axes.set_xlabel(figure.x.label)
    axes.set_ylabel(figure.y.label)
    axes.grid(color="0.9", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    for line in figure.baselines:
        _level(axes, line, figure, results)
    for look, curve in zip(_looks(), figure.curves, strict=False):
        _line(axes, traced(curve, figure, results), curve.label, look)
        _line(axes, _published(curve, figure), f"{curve.label}, published", look | _PUBLISHED)
    _scale(axes, figure)
    _legend(axes, canvas)


_PUBLISHED = {"linestyle": "none", "markerfacecolor": "none", "markersize": 7.0}


def _looks() -> Iterator[dict[str, Any]]:
    """Colours, markers and dashes; the dashes change when the colours begin again."""
    for place, (colour, marker) in enumerate(zip(cycle(COLOURS), cycle(_MARKERS), strict=False)):
        dashes = _DASHES[place // len(COLOURS) % len(_DASHES)]
        yield {"color": colour, "marker": marker, "linestyle": dashes, "markersize": 4.0}


def _line(axes: Axes, trace: Trace, label: str, look: dict[str, Any]) -> None:
    """A line with its band; nothing where there is no point."""
    if not trace.xs:
        return
    axes.plot(trace.xs, trace.ys, label=label, linewidth=1.5, **look)
    if any(trace.deviations):
        both = list(zip(trace.ys, trace.deviations, strict=True))
        low, high = [y - deviation for y, deviation in both], [y + d for y, d in both]
        axes.fill_between(trace.xs, low, high, color=look["color"], alpha=0.18, linewidth=0)


def _level(axes: Axes, line: Baseline, figure: Figure, results: Results) -> None:
    """A level line across, with its band."""
    height = results.of((line.run,), line.y or figure.y)
    if height.mean is None:
        return
    y, half = height.mean * figure.y.factor, (height.deviation or 0.0) * figure.y.factor
    axes.axhline(y, color="0.35", linestyle=(0, (6, 3)), linewidth=1.2, label=line.label)
    if half:
        axes.axhspan(y - half, y + half, color="0.35", alpha=0.12, linewidth=0)


def _scale(axes: Axes, figure: Figure) -> None:
    """The axis of places, with numbers as people write them: 20, not 2 x 10^1."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    steps = MaxNLocator(8, steps=[1, 2, 5, 10], integer=not figure.x.digits)
    axes.xaxis.set_major_locator(steps)
    if figure.log_x:
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        decades = LogLocator(subs=(1.0, 2.0, 5.0))
        axes.xaxis.set_major_locator(decades if high / low > _WIDE else steps)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    if figure.falling_x:
        axes.invert_xaxis()


def _legend(axes: Axes, canvas: Canvas) -> None:
    """Below the axes, where it hides nothing; or a word where there is nothing to see."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        columns = len(labels) if len(labels) <= 4 else 3
        canvas.legend(
            handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
        )
    else:
        middle: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "color": "0.5"}
        axes.text(0.5, 0.5, "nothing measured yet", **middle)
        axes.tick_params(labelbottom=False, labelleft=False)
