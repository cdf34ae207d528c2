"""How jobs are done on this machine: one after another, in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from platforms import threads
from platforms.base import JobT, Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, kw_only=True)
class Local(Platform):
    """This machine."""

    def launch(self, jobs: Iterable[JobT], work: Callable[[JobT], None]) -> None:
        """Call ``work`` on each job in turn. What it raises ends the launch."""
        with threads.announce():
            for job in jobs:
                work(job)
