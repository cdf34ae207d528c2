"""The sink Weights & Biases, offline: files in the run's directory, for ``wandb sync`` later.

No network is ever tried: the mode is offline whatever the environment says, nobody is asked to log
in, and its own reports of errors are off.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from foundations.files import read_json
from foundations.run_directory import HPARAMS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import wandb

_PROJECT = "open_prune"


class ToWandb:
    """Logs to an offline run.

    Args:
        folder: ``wandb/`` in the run's directory.
    """

    def __init__(self, folder: Path) -> None:
        directory = folder.parent
        self._run = _opened(folder, f"{directory.parent.name}-{directory.name}")

    def write(self, iteration: int, values: Mapping[str, float]) -> None:
        """Log values at a step."""
        self._run.log(dict(values), step=iteration)

    def flush(self) -> None:
        """It is written by a process of its own, as it comes."""

    def close(self) -> None:
        """Finish the run there."""
        self._run.finish()


def open_sink(folder: Path) -> ToWandb:
    """The sink, as the follower wants it."""
    return ToWandb(folder)


def _opened(folder: Path, name: str) -> wandb.Run:
    """The offline run; one that goes on has the same id, so that both are one when synced."""
    own = folder / "own"
    own.mkdir(exist_ok=True)
    places = {f"WANDB_{what}_DIR": str(own) for what in ("CONFIG", "CACHE", "DATA", "ARTIFACT")}
    os.environ |= {**places, "WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}
    import wandb  # only now: it reads the environment

    return wandb.init(
        project=_PROJECT,
        name=name,
        id=name,
        dir=str(folder.parent),
        config=read_json(folder.parent / HPARAMS),
        settings=wandb.Settings(
            mode="offline",
            resume="allow",
            silent=True,
            console="off",
            save_code=False,
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
        ),
    )
