"""How a run's progress is shown: a live bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TextIO

from commands.text import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.progress import Progress, TaskID
    from torch import Tensor

    from training.context import Reporter

_REFRESH_S = 0.2


class Silent:
    """Says nothing, but warnings."""

    def say(self, message: str) -> None:
        """Nothing."""

    def warn(self, message: str) -> None:
        """A line on standard error: what is printed stays what was asked for."""
        with suppress(OSError):
            print(message, file=sys.stderr, flush=True)  # noqa: T201 - this is where printing happens

    def begin(self, title: str, iteration: int, end: int, per_epoch: int, examples: int) -> None:
        """Nothing."""

    def step(self, iteration: int, loss: Tensor) -> None:
        """Nothing."""

    def epoch(self, iteration: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Lines(Silent):
    """Prints a line an epoch.

    Args:
        stream: Where to; by default what standard output is then.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._pace = Pace()
        self._stream = stream

    def say(self, message: str) -> None:
        """A line of its own, as long as somebody reads: training does not end with its reader."""
        with suppress(OSError):
            print(message, flush=True, file=self._stream)

    def warn(self, message: str) -> None:
        """A line like the others."""
        self.say(message)

    def begin(self, title: str, iteration: int, end: int, per_epoch: int, examples: int) -> None:
        """The run's name."""
        self._pace = Pace(iteration, end, per_epoch, examples)
        self.say(title)

    def epoch(self, iteration: int, values: Mapping[str, float]) -> None:
        """Epoch, what was measured, speed and time left."""
        self.say(
            f"  {self._pace.epochs(iteration)}  {_measured(values)}  {self._pace.at(iteration)}"
        )


class Bar(Silent):
    """A live bar with epoch, loss, accuracy, images a second and time left.

    The text fits into 80 columns, so it has one accuracy and no more; the bar takes what is left.
    """

    def __init__(self) -> None:
        self._pace = Pace()
        self._shown: tuple[Progress, TaskID] | None = None
        self._accuracy = self._loss = ""
        self._iteration = 0
        self._next = 0.0

    def say(self, message: str) -> None:
        """A line above the bar."""
        if self._shown:
            self._shown[0].console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            print(message, flush=True)  # noqa: T201 - as in Lines

    def warn(self, message: str) -> None:
        """A line above the bar."""
        self.say(message)

    def begin(self, title: str, iteration: int, end: int, per_epoch: int, examples: int) -> None:
        """The run's name above, and the bar."""
        from rich.progress import BarColumn, Progress, TextColumn

        self.say(title)
        self._pace = Pace(iteration, end, per_epoch, examples)
        self._accuracy = self._loss = ""
        self._iteration = iteration
        columns = TextColumn("{task.description}"), BarColumn(None)
        progress = Progress(*columns, auto_refresh=False, expand=True)
        progress.start()
        self._shown = progress, progress.add_task("", total=end, completed=iteration)

    def step(self, iteration: int, loss: Tensor) -> None:
        """Move on, a few times a second; the loss is read only where that is free."""
        self._iteration = iteration
        if (now := time.perf_counter()) < self._next:
            return
        self._next = now + _REFRESH_S
        if loss.device.type == "cpu":
            self._loss = f"loss {float(loss):.4f}"
        self._show(self._pace.at(iteration))

    def epoch(self, iteration: int, values: Mapping[str, float]) -> None:
        """Show the first accuracy until the next epoch's; with the loss of its epoch."""
        self._iteration = iteration
        found = [(name, value) for name, value in values.items() if name.endswith(" accuracy")]
        if found:
            name, value = found[0]
            self._accuracy = f"{name.removesuffix(' accuracy')} {100 * value:.2f} %"
        if "train loss" in values:
            self._loss = f"loss {values['train loss']:.4f}"

    def end(self) -> None:
        """Show the last of it with the speed of all of it, and leave the bar as it stands."""
        self._show(self._pace.whole(self._iteration))
        if self._shown:
            self._shown[0].stop()
            self._shown = None

    def _show(self, speed: str) -> None:
        if self._shown:
            progress, task = self._shown
            epoch = self._pace.epochs(self._iteration)
            text = "  ".join(part for part in (epoch, self._loss, self._accuracy, speed) if part)
            progress.update(task, completed=self._iteration, description=text)
            progress.refresh()


class Both:
    """Tells two who are told of a run."""

    def __init__(self, one: Reporter, other: Reporter) -> None:
        self._told = one, other

    def say(self, message: str) -> None:
        """To both."""
        for told in self._told:
            told.say(message)

    def warn(self, message: str) -> None:
        """To both."""
        for told in self._told:
            told.warn(message)

    def begin(self, title: str, iteration: int, end: int, per_epoch: int, examples: int) -> None:
        """To both."""
        for told in self._told:
            told.begin(title, iteration, end, per_epoch, examples)

    def step(self, iteration: int, loss: Tensor) -> None:
        """To both."""
        for told in self._told:
            told.step(iteration, loss)

    def epoch(self, iteration: int, values: Mapping[str, float]) -> None:
        """To both."""
        for told in self._told:
            told.epoch(iteration, values)

    def end(self) -> None:
        """To both."""
        for told in self._told:
            told.end()


class Pace:
    """How fast a run goes: images a second since the last time it was asked, and the time left."""

    def __init__(self, iteration: int = 0, end: int = 0, per_epoch: int = 1, n: int = 0) -> None:
        self._end, self._per_epoch = end, per_epoch
        self._examples_per_step = n / per_epoch
        self._last = self._begun = iteration
        self._clock = self._began = time.perf_counter()

    def epochs(self, iteration: int) -> str:
        """The epoch, as ``12/160``."""
        epoch = min(-(-iteration // self._per_epoch), -(-self._end // self._per_epoch))
        return f"epoch {epoch}/{-(-self._end // self._per_epoch)}"

    def at(self, iteration: int) -> str:
        """Speed and time left, counted with everything between the steps."""
        now = time.perf_counter()
        seconds, steps = now - self._clock, iteration - self._last
        self._clock, self._last = now, iteration
        if not steps:
            return ""
        speed = steps * self._examples_per_step / seconds
        left = (now - self._began) / (iteration - self._begun) * (self._end - iteration)
        return f"{speed:,.0f} images/s  {duration(left)} left"

    def whole(self, iteration: int) -> str:
        """Speed and time since the beginning."""
        seconds = time.perf_counter() - self._began
        speed = (iteration - self._begun) * self._examples_per_step / seconds
        return f"{speed:,.0f} images/s  {duration(seconds)}"


class Told(Protocol):
    """A stream that knows whether it is a terminal."""

    def isatty(self) -> bool:
        """Whether it is one."""


def reporter(*, quiet: bool, stream: Told | None = None) -> Reporter:
    """The reporter that fits: silent, a bar on a terminal, lines elsewhere."""
    stream = stream or sys.stdout
    if quiet or stream is None:  # None where standard output is closed
        return Silent()
    return Bar() if stream.isatty() else Lines()


def _measured(values: Mapping[str, float]) -> str:
    """``train loss 0.31  test accuracy 91.20 %  test loss 0.29``."""
    return "  ".join(
        f"{name} {100 * value:.2f} %" if _is_fraction(name) else f"{name} {value:.4f}"
        for name, value in values.items()
    )


def _is_fraction(name: str) -> bool:
    return name.rsplit(maxsplit=1)[-1].startswith(("accuracy", "top"))
