"""``iterative``: rounds of training, pruning and rewinding, to a fraction of all weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branches.finetune import Finetune
from branches.lineages import iterative as rounds_of
from branches.lineages import iterative_finetuned
from branches.lottery_rewind import LotteryRewind
from commands.flags import parse
from commands.hparams import CommandFlags
from commands.lottery import dense_run, level_groups, pruning_flag
from commands.parsing import named, platform_flags, store_of
from commands.prefixed import by_own_names
from commands.work import Work, carry_out
from foundations.errors import UserError
from foundations.hparams import Hparams
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

ABOUT = """Prune in rounds: train, cut a part, go back, train again, and so on to a fraction of all.

Where 'lottery' cuts the same fraction at each of so many levels, this reaches --pruning_fraction
after so many rounds; --pruning_schedule says by which steps. --rewind and --rewinding_steps say
what goes back and how far; each round is a lottery_rewind branch of the one before. With --finetune
nothing goes back: what is left is fine-tuned, by the flags that begin with --finetune_."""


@dataclass(frozen=True, kw_only=True)
class IterativeFlags(Hparams):
    """In how many rounds."""

    rounds: int = 5
    """How many rounds; --pruning_schedule=explicit has as many as --pruning_fractions."""

    finetune: bool = False
    """Go on from the weights as they are after each cut, as the branch finetune does."""

    def check(self) -> None:
        """Refuse less than a round."""
        self.require(self.rounds >= 1, "rounds", "at least 1")


def iterative(arguments: Sequence[str]) -> None:
    """Parse the flags and run every round."""
    carry_out(work_of(arguments))


def work_of(arguments: Sequence[str]) -> Work:
    """What the flags describe: every round."""
    flags = parse(
        "open_prune.py iterative",
        ABOUT,
        {
            "command": CommandFlags,
            "iterative": IterativeFlags,
            **level_groups(arguments),
            "tuning": Finetune,
            "options": RunOptions,
            "platform": platform_flags(arguments),
        },
        arguments,
        lambda text: named(store_of(arguments), text),
    )
    asked, tuning = flags.pop("iterative"), flags.pop("tuning")
    last = LotteryRewind(**by_own_names(flags.pop("level"), pruning_flag, LotteryRewind))
    dense = dense_run(flags, flags["platform"])
    if not asked.finetune and tuning != Finetune():
        raise UserError("Flags that begin with --finetune_ are for --finetune: give it too.")
    made = (
        iterative_finetuned(dense, last, asked.rounds, tuning)
        if asked.finetune
        else (rounds_of(dense, last, asked.rounds))
    )
    return Work(descriptions=made, **flags)
