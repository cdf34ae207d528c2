"""What a Slurm job is to have: hyperparameters of the place, never of the run."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from foundations.errors import UserError
from platforms import threads
from platforms.base import JobT, Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from platforms.crew import Crew

_PROGRAMS = ("sbatch", "squeue")
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d+){0,2})")


@dataclass(frozen=True, kw_only=True)
class Slurm(Platform):
    """A cluster with Slurm. Counts are for each process of a run; most runs have one."""

    partition: str | None = None
    """The partition; by default the cluster's."""

    account: str | None = None
    """The account that is charged; by default yours."""

    qos: str | None = None
    """The quality of service."""

    constraint: str | None = None
    """Features that a node must have, as Slurm writes them: a100|h100."""

    time: str | None = None
    """The time limit of a job, as Slurm writes it: 90 (minutes), 4:00:00, 2-12. A run that takes
    longer is saved, queued again and continued."""

    cpus: int = 1
    """CPUs of each process, and its threads unless --threads says otherwise."""

    gpus: int = 0
    """GPUs of each process."""

    mem_gb: float | None = None
    """Memory of each process in GB; by default as the cluster gives it."""

    array_parallelism: int = 256
    """How many runs of a job array may run at once."""

    array_size: int = 1000
    """How many runs a job array may have: the cluster's MaxArraySize, less one."""

    setup: tuple[str, ...] = ()
    """Commands of the shell that a job begins with: module load cuda,ulimit -n 4096."""

    python: str | None = None
    """The Python that runs there; by default the one that runs here, by its path."""

    signal_delay_s: int = 90
    """Seconds before its time limit at which a run is told to save and stop."""

    poll_s: float = 10.0
    """Seconds between two looks at the queue."""

    def check(self) -> None:
        """Refuse counts and times that make no sense."""
        super().check()
        for field in ("cpus", "array_parallelism", "array_size"):
            self.require(getattr(self, field) >= 1, field, "at least 1")
        for field in ("gpus", "signal_delay_s"):
            self.require(getattr(self, field) >= 0, field, "0 or more")
        self.require(self.mem_gb is None or self.mem_gb > 0, "mem_gb", "more than 0")
        self.require(self.poll_s > 0, "poll_s", "more than 0")
        if self.time is not None:
            self._check_time(self.time)
        self.require(
            not any("\n" in line for line in self.setup), "setup", "one line for each command"
        )

    def _check_time(self, time: str) -> None:
        """Refuse a limit of which nothing is left: the run would be stopped again and again."""
        seconds = _seconds(time)
        self.require(seconds is not None, "time", "write 90 (minutes), 1:30:00, or 2-12 (days)")
        if seconds is not None:
            limit = f"less than the {seconds} seconds of --time"
            self.require(self.signal_delay_s < seconds, "signal_delay_s", limit)

    def thread_count(self) -> int:
        """The CPU threads of a run: its CPUs, whatever else is at work on the node."""
        return self.threads or self.cpus

    def launch(self, jobs: Iterable[JobT], work: Callable[[JobT], None]) -> None:
        """Call ``work`` on each job in turn: what is not carried out by a crew is done here."""
        with threads.announce():
            for job in jobs:
                work(job)

    @property
    def side_by_side(self) -> None:
        """It depends on who else has jobs in the queue."""

    def queued(self) -> Mapping[str, str]:
        """The jobs of runs below the root, and why they wait."""
        from platforms.slurm import under_way

        return under_way.told(self.results_root())

    def crew(self, flags: Sequence[str]) -> Crew:
        """Those who submit and watch the jobs.

        Raises:
            UserError: Slurm's programs are not here, or submitit is not installed.
        """
        if lacking := [program for program in _PROGRAMS if shutil.which(program) is None]:
            raise UserError(
                f"--platform=slurm: there is no {' and no '.join(lacking)} here. Run this on a "
                "machine from which jobs are submitted to Slurm."
            )
        if find_spec("submitit") is None:
            raise UserError("--platform=slurm needs submitit: pip install 'submitit>=1.5'.")
        from platforms.slurm.crew import SlurmCrew

        return SlurmCrew(self, flags)


def _seconds(time: str) -> int | None:
    """A time limit as Slurm reads it: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S; None if it is none."""
    match = _TIME.fullmatch(time)
    if match is None:
        return None
    parts = [int(part) for part in match["parts"].split(":")]
    if match["days"] is None:  # one or two numbers begin with minutes, three with hours
        parts = [0, *parts] if len(parts) < 3 else parts
    hours, minutes, seconds = [*parts, 0, 0][:3]
    return ((int(match["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
