"""``iterative``: rounds of training, pruning and rewinding, to a fraction of all weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branches.lineages import iterative as rounds_of
from branches.lottery_rewind import LotteryRewind
from commands.flags import parse
from commands.hparams import CommandFlags
from commands.lottery import level_groups, pruning_flag
from commands.parsing import named, pinned, platform_flags, store_of
from commands.prefixed import by_own_names
from commands.work import Work, carry_out
from foundations.hparams import Hparams
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

ABOUT = """Prune in rounds: train, cut a part, go back, train again, and so on to a fraction of all.

Where 'lottery' cuts the same fraction at each of so many levels, this reaches --pruning_fraction
after so many rounds; --pruning_schedule says by which steps. --rewind and --rewinding_steps say
what goes back and how far; each round is a lottery_rewind branch of the one before."""


@dataclass(frozen=True, kw_only=True)
class IterativeFlags(Hparams):
    """In how many rounds."""

    rounds: int = 5
    """How many rounds; --pruning_schedule=explicit has as many as --pruning_fractions."""

    def check(self) -> None:
        """Refuse less than a round."""
        self.require(self.rounds >= 1, "rounds", "at least 1")


def iterative(arguments: Sequence[str]) -> None:
    """Parse the flags and run every round."""
    flags = parse(
        "open_prune.py iterative",
        ABOUT,
        {
            "command": CommandFlags,
            "iterative": IterativeFlags,
            **level_groups(arguments),
            "options": RunOptions,
            "platform": platform_flags(arguments),
        },
        arguments,
        lambda text: named(store_of(arguments), text),
    )
    rounds = flags.pop("iterative").rounds
    last = LotteryRewind(**by_own_names(flags.pop("level"), pruning_flag, LotteryRewind))
    dense = pinned(flags.pop("dense"), flags["platform"])
    carry_out(Work(descriptions=rounds_of(dense, last, rounds), **flags))
