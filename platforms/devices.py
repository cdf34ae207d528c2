"""Which device a name means on this machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from foundations.errors import UserError, unknown

if TYPE_CHECKING:
    import torch

    from platforms.ranks import Place

_NAME = re.compile(r"auto|cpu|mps|cuda(?::(?P<index>\d+))?")
_KNOWN = ("auto", "cpu", "cuda", "cuda:0", "cuda:1", "mps")
"""What an error message lists; any index is understood."""


def check_name(name: str) -> None:
    """Refuse what is no name of a device, whether or not this machine has it.

    Raises:
        UserError: Suggests the nearest name.
    """
    if _NAME.fullmatch(name) is None:
        raise unknown("device", name, _KNOWN)


def resolve(name: str, here: Place | None = None) -> torch.device:
    """The device of this name; ``auto`` is the first there is of cuda, mps and cpu.

    Args:
        name: As the flag has it.
        here: Who this process is among those of this machine that train together: each has the GPU
            of its own number.

    Raises:
        UserError: The name is unknown, or the device is not there.
    """
    import torch

    check_name(name)
    if name == "auto":
        return resolve(_best(), here)
    if name.startswith("cuda"):
        return _cuda(name if here is None else _own(name, here))
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError(
            "--device=mps: there is no Apple GPU that torch can use here. "
            "Use --device=cpu or --device=auto."
        )
    return torch.device(name)


def _best() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _own(name: str, here: Place) -> str:
    """The name of a process's own GPU."""
    if name != "cuda":
        raise UserError(
            f"--device={name}: each of several processes has a GPU of its own. Use --device=cuda, "
            "and CUDA_VISIBLE_DEVICES to choose among them."
        )
    return f"cuda:{here.local_rank}"


def _cuda(name: str) -> torch.device:
    """The GPU of this name, with its index: tensors say theirs with one."""
    import torch

    match = _NAME.fullmatch(name)
    index = int(match["index"] or 0) if match else 0
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        why = "torch finds no GPU and driver" if torch.version.cuda else "torch is built without it"
        raise UserError(
            f"--device={name}: CUDA is not available here: {why}. "
            "Use --device=cpu or --device=auto."
        )
    if index >= count:
        there = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise UserError(f"--device={name}: there is no such GPU here, only {there}.")
    return torch.device("cuda", index)
