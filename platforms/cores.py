"""How many CPU cores this process may use.

The smaller of two: the CPUs that it may be scheduled on (``taskset``, Slurm), counted as whole
cores because two hyperthreads of a core share the units that do the arithmetic; and the CPU time
that its control group may have (containers), in both versions of Linux's control groups.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def usable() -> int:
    """The cores that this process may use, at least 1."""
    quota = _quota(Path("/sys/fs/cgroup"), _read(Path("/proc/self/cgroup")))
    return max(1, _scheduled() if quota is None else min(_scheduled(), int(quota)))


def _scheduled() -> int:
    """The cores that this process may be scheduled on."""
    if not hasattr(os, "sched_getaffinity"):  # macOS and Windows
        return psutil.cpu_count(logical=False) or os.cpu_count() or 1
    # A CPU that does not tell its siblings is a core by itself.
    cpus = os.sched_getaffinity(0)
    return len({_read(Path(_SIBLINGS.format(cpu))) or str(cpu) for cpu in cpus})


def _quota(base: Path, membership: str) -> float | None:
    """The CPUs' worth of time that the control group and those above it may have, if limited.

    Args:
        base: Where control groups are mounted.
        membership: ``/proc/self/cgroup``: lines of ``number:controllers:path``.
    """
    found: list[float] = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found += _limits(base, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            found += _limits(base / "cpu", path, _quota_v1)
            found += _limits(base / controllers, path, _quota_v1)
    return min(found, default=None)


def _limits(base: Path, path: str, quota: Callable[[Path], float | None]) -> list[float]:
    """The limits of a group and of all above it; inside a container its own is the mount."""
    group = base / path.strip("/")
    above = [folder for folder in (group, *group.parents) if folder.is_relative_to(base)]
    return [limit for folder in above if (limit := quota(folder)) is not None]


def _quota_v2(folder: Path) -> float | None:
    match _read(folder / "cpu.max").split():
        case [quota, period] if quota != "max":
            return int(quota) / int(period)
    return None


def _quota_v1(folder: Path) -> float | None:
    quota = _read(folder / "cpu.cfs_quota_us")
    period = _read(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
