"""``import-openlth DIR``: the runs of a results folder of OpenLTH become readable runs here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.flags import parse
from commands.parsing import platform_flags
from foundations.errors import OpenPruneError, UserError
from foundations.hparams import Hparams
from platforms import process
from training.openlth import check_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.openlth.importing import Told

ABOUT = """Read the runs of a results folder of OpenLTH, or of its fork, and keep them here.

DIR holds train_<md5>/replicate_1/main, lottery_<md5>/replicate_1/level_0/main, and so on. Training
jobs, pre-training, levels of lotteries and branches are read: weights, masks and what was logged.
They are named by what they are called there and by their hyperparameters, openlth_...,
openlth_branch_... or openlth_pruned_..., and can be read, evaluated and branched from, but not
trained on. The same command again takes what is new."""


@dataclass(frozen=True, kw_only=True)
class OpenLthFlags(Hparams):
    """What they are called, and how much is told."""

    series: str | None = None
    """A word that enters the names, for results of another folder that are called the same there:
    OpenLTH draws without seeds, so that two trainings of one recipe differ."""

    quiet: bool = False
    """Tell of runs that are refused, and the numbers, alone."""

    def check(self) -> None:
        """Refuse a series that is no word."""
        check_series(self, self.series)


def import_openlth(arguments: Sequence[str]) -> None:
    """Import every run that can be understood, and tell of each.

    Raises:
        UserError: There is no such folder.
        OpenPruneError: Some runs were refused.
    """
    words = [word for word in arguments[:1] if not word.startswith("-")]
    flags = parse(
        "open_prune.py import-openlth DIR",
        ABOUT,
        {"openlth": OpenLthFlags, "platform": platform_flags(arguments)},
        arguments[len(words) :],
    )
    if not words:
        raise UserError("Which folder? Write open_prune.py import-openlth DIR.")
    from reports.openlth.importing import REFUSED, Importing, summary
    from reports.openlth.layout import places

    asked = flags["openlth"]

    def say(told: Told) -> None:
        if not asked.quiet and told.outcome != REFUSED:
            print(f"{told.outcome}: {_origin(told)} is {told.run}")  # noqa: T201 - the output

    found = places(Path(words[0]).expanduser())
    process.prepare()
    told = Importing(flags["platform"], found, say, asked.series).all()
    print(summary(told))  # noqa: T201 - the command's output
    if refused := [one for one in told if one.outcome == REFUSED]:
        lines = [f"  {_origin(one)}: {one.reason}." for one in refused]
        raise OpenPruneError("\n".join(["These runs were refused:", *lines]))


def _origin(told: Told) -> str:
    """What the run is called there, with its replicate."""
    return f"{told.place.name} replicate {told.place.replicate}"
