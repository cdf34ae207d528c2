"""On what a run was computed: what its bytes depend on, and what a reader wants to know besides."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from foundations.hparams import Json

PROJECT = Path(__file__).resolve().parent.parent


def fingerprint(device: torch.device, threads: int, numerics: Json) -> dict[str, Json]:
    """What the bytes of a run depend on besides its description: equal ones promise equal bytes.

    Args:
        device: What it is computed on.
        threads: CPU threads; they decide in which order partial sums are added.
        numerics: The run's numerics as JSON.

    Returns:
        A flat dict that survives JSON unchanged.
    """
    import torch

    return {
        "torch": str(torch.__version__),
        "device": device.type,
        "device_model": _gpu_model(device) if device.type == "cuda" else cpu_model(),
        "threads": threads,
        "numerics": numerics,
    }


def provenance(argv: Sequence[str] | None = None) -> dict[str, Json]:
    """Where a run comes from: of no influence on its bytes, or of an unknown one.

    Args:
        argv: The command; by default that of this process.

    Returns:
        ``command``, ``started`` (ISO 8601, UTC), ``host``, ``pid``, ``system``, ``python``,
        ``packages`` (name to version) and ``commit`` (None outside of a repository; ``+changes``
        marks a working tree that differs from it).
    """
    return {
        "command": list(sys.argv if argv is None else argv),
        "started": now(),
        "host": platform.node(),
        "pid": os.getpid(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": _packages(PROJECT / "requirements.txt"),
        "commit": commit(PROJECT),
    }


def now() -> str:
    """The time as ISO 8601 has it, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def cpu_model() -> str:
    """The CPU and the vector instructions that torch uses of it.

    Virtual machines hide the name but not the family and the model, and these choose the kernels.
    """
    import torch

    return f"{_cpu_name(Path('/proc/cpuinfo'))}, {torch.backends.cpu.get_cpu_capability()}"


def commit(project: Path) -> str | None:
    """The commit of the repository whose top is ``project``; None without one, or without git."""
    top = _git(project, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != project.resolve():
        return None  # a repository around it is somebody else's
    head = _git(project, "rev-parse", "HEAD")
    changed = _git(project, "status", "--porcelain", "--untracked-files=no")
    return f"{head}+changes" if head and changed else head


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603 - constant arguments
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_name(cpuinfo: Path) -> str:
    """The name, family, model and stepping of the first CPU."""
    try:
        text = cpuinfo.read_text()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    # The first of each is the first CPU's.
    facts = dict(re.findall(r"^(.+?)[ \t]*:[ \t]*(.*)$", text.split("\n\n")[0], flags=re.MULTILINE))
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model", "stepping") if key in facts]
    name = facts.get("model name") or platform.processor() or platform.machine()
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _gpu_model(device: torch.device) -> str:
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}"


def _packages(requirements: Path) -> dict[str, str | None]:
    """The installed versions of the packages named in a file of requirements."""
    try:
        lines = requirements.read_text().splitlines()
    except OSError:
        return {}
    names = [match.group() for line in lines if (match := re.match(r"[A-Za-z][\w.-]*", line))]
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
