"""Which runs lie in a results folder of OpenLTH, and which began from which."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

HPARAMS, LOGGER = "hparams.log", "logger"
MASK, SPARSITY = "mask.pth", "sparsity_report.json"
PRETRAIN = "level_pretrain"

_EXPERIMENT = re.compile(r"(train|lottery)_[0-9a-f]{32}")
_REPLICATE = re.compile(r"replicate_(\d+)")
_LEVEL = re.compile(r"level_(\d+|pretrain)")
_BRANCH = re.compile(r"(?:lottery|train)_branch_(?P<name>.+)_[0-9a-f]{32}")
_MAIN = "main"


@dataclass(frozen=True)
class Place:
    """Where a run of OpenLTH lies.

    Args:
        experiment: ``train_<md5>`` or ``lottery_<md5>``.
        replicate: The number of its replicate.
        level: ``level_3`` or ``level_pretrain``; empty for a training job.
        branch: The folder of a branch; empty for the run itself.
        path: The folder.
    """

    experiment: str
    replicate: int
    level: str
    branch: str
    path: Path

    @property
    def name(self) -> str:
        """What it is called, without its replicate: ``lottery_<md5>/level_3``."""
        return "/".join(part for part in (self.experiment, self.level, self.branch) if part)

    @property
    def number(self) -> int | None:
        """The number of its level; None where it is none."""
        digits = self.level.removeprefix("level_")
        return int(digits) if digits.isdecimal() else None

    @property
    def branch_name(self) -> str:
        """The name of the kind of branch: ``randomly_prune``."""
        match = _BRANCH.fullmatch(self.branch)
        return match["name"] if match else ""

    @property
    def hparams(self) -> Path:
        """The file that tells of the experiment; a lottery has it at its level 0."""
        level = [self.replicate_path / "level_0"] if self.level else [self.replicate_path]
        return level[0] / _MAIN / HPARAMS

    @property
    def replicate_path(self) -> Path:
        """The folder of the replicate."""
        return self.path.parent.parent if self.level else self.path.parent

    def parent(self, others: Iterable[Place]) -> Place | None:
        """The run that it began from; None if that was an initialization.

        Raises:
            UserError: It is not there.
        """
        if self.branch:
            wanted = self.level
        elif self.number is None:
            return None
        else:
            wanted = f"level_{self.number - 1}" if self.number else PRETRAIN
        key = (self.experiment, self.replicate, wanted, "")
        found = [p for p in others if (p.experiment, p.replicate, p.level, p.branch) == key]
        if not found and wanted != PRETRAIN:
            raise UserError(f"what it began from is not there: {wanted or _MAIN}")
        return found[0] if found else None


def places(folder: Path) -> list[Place]:
    """The runs in a results folder, or in the folder of one experiment, parents first.

    Raises:
        UserError: There is no such folder, it cannot be read, or it holds no runs.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    experiments = [folder] if _EXPERIMENT.fullmatch(folder.name) else _folders(folder)
    found = [place for path in experiments for place in _of_experiment(path)]
    if not found:
        raise UserError(
            f"{folder} is no results folder of OpenLTH: it has no train_<md5>/replicate_1/main and "
            "no lottery_<md5>/replicate_1/level_0/main."
        )
    return sorted(found, key=_order)


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, by name.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}).") from error


def _of_experiment(path: Path) -> Iterator[Place]:
    if not _EXPERIMENT.fullmatch(path.name):
        return
    for folder in _folders(path):
        if match := _REPLICATE.fullmatch(folder.name):
            levels = _folders(folder) if path.name.startswith("lottery_") else [folder]
            for level in levels:
                yield from _of_level(path.name, int(match[1]), level)


def _of_level(experiment: str, replicate: int, folder: Path) -> Iterator[Place]:
    """The run in a folder, and its branches."""
    level = folder.name if _LEVEL.fullmatch(folder.name) else ""
    if experiment.startswith("lottery_") and not level:
        return
    for path in _folders(folder):
        if path.name == _MAIN or _BRANCH.fullmatch(path.name):
            branch = "" if path.name == _MAIN else path.name
            yield Place(experiment, replicate, level, branch, path)


def _order(place: Place) -> tuple[str, int, bool, int, str]:
    """Parents before what began from them."""
    number = -1 if place.number is None else place.number
    return place.experiment, place.replicate, bool(place.branch), number, place.branch
