"""What every platform has: roots, a device, threads, and a way to have jobs done.

A platform is a value that is handed down to whoever needs it. It says where and how a run happens,
never what is computed, so nothing of it enters a run's name.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from foundations.hparams import Hparams
from platforms import cores, devices, ranks, roots, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import torch

    from foundations.description import Description
    from platforms.crew import Crew


class Job(Protocol):
    """One run to be done: all that another process needs to be told."""

    @property
    def description(self) -> Description:
        """What the run is."""

    @property
    def replicate(self) -> int:
        """Which of its repetitions."""


JobT = TypeVar("JobT", bound=Job)


@dataclass(frozen=True, kw_only=True)
class Platform(Hparams):
    """Hyperparameters of the place where runs happen. A subclass says how jobs are launched."""

    root: str | None = None
    """Where runs are kept. By default $OPEN_PRUNE_ROOT, then the user's data directory."""

    data_root: str | None = None
    """Where data sets are kept. By default $OPEN_PRUNE_DATA, then the user's data directory."""

    device: str = "auto"
    """What to compute on: cpu, cuda, cuda:1, mps, or auto: the first there is of cuda, mps, cpu."""

    threads: int | None = None
    """CPU threads of a run. By default a fair share among the processes of this project."""

    num_workers: int = 0
    """Processes that read images of data sets too large for memory; 0 reads in the run itself."""

    def check(self) -> None:
        """Refuse a device of unknown name, and counts that make no sense."""
        devices.check_name(self.device)
        self.require(self.threads is None or self.threads >= 1, "threads", "at least 1")
        self.require(self.num_workers >= 0, "num_workers", "0 or more")

    def results_root(self) -> Path:
        """Where runs are kept. It need not exist: reading commands find nothing there."""
        return roots.results_root(self.root)

    def writable_root(self) -> Path:
        """Where runs are kept, made if need be.

        Raises:
            UserError: Nothing can be written there; says what to set.
        """
        return roots.writable(self.results_root())

    def datasets_root(self) -> Path:
        """Where data sets are kept. It need not exist, nor be writable unless one is downloaded."""
        return roots.datasets_root(self.data_root)

    def torch_device(self) -> torch.device:
        """The device, with its index where it is a GPU.

        Raises:
            UserError: This machine, or this build of torch, does not have it.
        """
        return devices.resolve(self.device, ranks.place())

    def thread_count(self) -> int:
        """The CPU threads of a run that starts training now.

        Ask once, when training starts: the bytes of a run depend on it.
        """
        here = ranks.place()
        together = 1 if here is None else here.local_size
        workers = max(together, threads.workers(with_self=True))
        return self.threads or threads.share(cores.usable(), workers)

    @abstractmethod
    def launch(self, jobs: Iterable[JobT], work: Callable[[JobT], None]) -> None:
        """Have the jobs done, in an order in which parents come before branches.

        A platform either calls ``work`` on a job in this process, or has ``open_prune.py`` do the
        same elsewhere on the job's description and replicate. What a job leaves is in its run
        directory, nothing is handed back: a job that another machine does has no other way.

        Args:
            jobs: What is to be done, parents first.
            work: Does a job in the calling process.
        """

    def for_many(self) -> Self:
        """The same place, as it is used for many runs where the flags leave that open."""
        return self

    @property
    def side_by_side(self) -> int | None:
        """How many runs it carries out at once; None where nobody knows that beforehand."""
        return 1

    def queued(self) -> Mapping[str, str]:
        """What the place's own queue says of runs, by ``NAME/replicate_R``; none without a queue.

        Raises:
            OpenPruneError: The queue does not answer.
        """
        return {}

    def crew(self, flags: Sequence[str]) -> Crew | None:  # noqa: ARG002 - the interface's
        """Those who carry out runs by their names; None: they are done here, by ``launch``.

        Args:
            flags: What every ``open_prune.py run`` is to be told besides: options and plugins. The
                platform adds its own: roots, device, threads.
        """
        return None
