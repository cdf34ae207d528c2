"""How a job array is handed to Slurm, and what it waits for."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from foundations.errors import UserError
from platforms.slurm import queue

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_ADVICE = (
    "\nThe most runs an array may have are the cluster's MaxArraySize ('scontrol show config'), "
    "less one: give that as --array_size."
)


def submit(path: Path) -> str:
    """Hand over a batch script.

    Returns:
        The number of the job.

    Raises:
        UserError: Slurm does not take it; in its own words.
        QueueError: Slurm does not answer. Perhaps it has taken it all the same.
    """
    told = subprocess.run(  # noqa: S603 - Slurm's program, and a path of ours
        ["sbatch", "--parsable", str(path)],  # noqa: S607 - where it is, the PATH knows
        capture_output=True,
        text=True,
        check=False,
        env=_environ(),
    )
    if told.returncode:
        queue.look()  # who does not answer has refused nothing
        advice = _ADVICE if "array" in told.stderr else ""
        raise UserError(f"Slurm does not take the jobs. {told.stderr.strip()}{advice}")
    return told.stdout.strip().partition(";")[0]


def dependency(parents: Collection[str], same: Collection[str]) -> str | None:
    """What jobs wait for, as Slurm writes it.

    Args:
        parents: The jobs that have to end well.
        same: Those that have only to be over, for they work on the same runs.
    """
    waits = {"afterok": parents, "afterany": same}
    return ",".join(":".join([kind, *jobs]) for kind, jobs in waits.items() if jobs) or None


def _environ() -> dict[str, str]:
    """The environment, without what Slurm says of the job in which this process may run.

    The new jobs would inherit it, and take it for their own.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name == "SLURM_CONF" or not name.startswith(("SLURM_", "SRUN_"))
    }
