"""The sink TensorBoard: an event file in the run's directory, for ``tensorboard --logdir``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class ToTensorBoard:
    """Writes scalars.

    Args:
        folder: Where the event file is made; one for each session of work on the run.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = EventFileWriter(str(folder))

    def write(self, iteration: int, values: Mapping[str, float]) -> None:
        """A scalar for each value."""
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        summary = Summary(value=scalars)
        self._writer.add_event(Event(wall_time=time.time(), step=iteration, summary=summary))

    def flush(self) -> None:
        """Have it in the file."""
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def open_sink(folder: Path) -> ToTensorBoard:
    """The sink, as the follower wants it."""
    return ToTensorBoard(folder)
