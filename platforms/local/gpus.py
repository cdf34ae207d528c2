"""Which GPUs of this machine workers can be given, found without torch: it costs seconds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

_CUDA = re.compile(r"auto|cuda(?::(?P<index>\d+))?")


def visible(device: str) -> tuple[str, ...]:
    """The GPUs that ``--device`` leaves to choose from, as CUDA_VISIBLE_DEVICES names them.

    Args:
        device: As the flag has it: ``cuda:1`` is that one alone, ``cpu`` none.
    """
    match = _CUDA.fullmatch(device)
    if match is None:
        return ()
    found = _all()
    if match["index"] is None:
        return found
    return found[int(match["index"]) :][:1]


def _all() -> tuple[str, ...]:
    """Those that the environment leaves to this process, else those that the driver lists."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(name.strip() for name in chosen.split(",") if name.strip() not in {"", "-1"})
    return tuple(str(index) for index in range(_count()))


def _count() -> int:
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)  # noqa: S603 - it is the driver's own program
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
