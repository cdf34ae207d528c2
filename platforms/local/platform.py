"""How runs are done on this machine: in this process, or by how many workers, on what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from platforms import cores, threads
from platforms.base import JobT, Platform
from platforms.local import gpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from platforms.crew import Crew


@dataclass(frozen=True, kw_only=True)
class Local(Platform):
    """This machine."""

    workers: int = 0
    """Processes that carry out runs side by side; 0: all in this process, one after another. For
    many runs (sweep, paper) it is by default one a core, or --runs_per_gpu on each GPU."""

    runs_per_gpu: int = 1
    """How many workers share a GPU."""

    def check(self) -> None:
        """Refuse counts that make no sense."""
        super().check()
        self.require(self.workers >= 0, "workers", "0 or more")
        self.require(self.runs_per_gpu >= 1, "runs_per_gpu", "at least 1")

    def thread_count(self) -> int:
        """The CPU threads of a run; a worker's are its share, whether or not others work now."""
        if self.threads is None and self.workers:
            return threads.share(cores.usable(), self.workers)
        return super().thread_count()

    def launch(self, jobs: Iterable[JobT], work: Callable[[JobT], None]) -> None:
        """Call ``work`` on each job in turn. What it raises ends the launch."""
        with threads.announce():
            for job in jobs:
                work(job)

    def for_many(self) -> Self:
        """The same with workers: as many as the machine has cores, or GPUs have room for."""
        if self.workers:
            return self
        found = gpus.visible(self.device)
        return replace(self, workers=len(found) * self.runs_per_gpu or cores.usable())

    @property
    def side_by_side(self) -> int:
        """One a worker; one in this process."""
        return max(1, self.workers)

    def crew(self, flags: Sequence[str]) -> Crew | None:
        """The workers; None without any."""
        if not self.workers:
            return None
        from platforms.local.crew import LocalCrew

        return LocalCrew(self, flags)
