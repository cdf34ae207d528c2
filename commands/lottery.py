"""``lottery``: train, prune the end, rewind, and again, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from branches.describing import pinned
from branches.lineages import lottery as levels_of
from branches.lineages import pretrained
from branches.lottery_rewind import LotteryRewind
from commands.flags import numbers, parse
from commands.hparams import CommandFlags
from commands.parsing import (
    named,
    platform_flags,
    preset_description,
    preset_name,
    store_of,
)
from commands.prefixed import by_own_names, renamed
from commands.work import Work, carry_out
from datasets.hparams import DatasetHparams
from foundations.errors import UserError
from foundations.hparams import Hparams
from models.presets import pruning_preset
from training.hparams import RunOptions, TrainingHparams
from training.overrides import Restating, restating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.description import Description
    from platforms.base import Platform

ABOUT = """Find lottery tickets: train, prune the end, rewind what is left, train again, and so on.

Level 0 is the run that 'train' makes with the same flags; each further level is a lottery_rewind
branch of the one before. A lottery that was broken off continues. 'branch lottery BRANCH' takes
levels of it as parents."""

_OWN_NAMES = frozenset({"rewinding_steps", "rewind"})


@dataclass(frozen=True, kw_only=True)
class LotteryFlags(Hparams):
    """How far the lottery goes."""

    levels: int = 1
    """The number of the last level; 0 is the dense network."""


@dataclass(frozen=True, kw_only=True)
@restating("pretrain", TrainingHparams, DatasetHparams)
class PretrainFlags(Restating):
    """What the lottery begins from, if not from an initialization."""

    pretrain: bool = False
    """Begin from the end of another training: by the flags that begin with --pretrain_, and else
    as level 0 trains. Where its classes are others, level 0 has a new output layer."""

    def check(self) -> None:
        """Refuse to say how, and not that."""
        if self.given() and not self.pretrain:
            raise UserError("Flags that begin with --pretrain_ are for --pretrain: give it too.")


@dataclass(frozen=True, kw_only=True)
class LevelFlags(Hparams):
    """Which levels of the lottery a branch grows on."""

    level: int | None = None
    """The level that is the parent; 0 is the dense network."""

    levels: str | None = None
    """Several levels, each the parent of a run: 1-5, or 1,3,7."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The levels that are asked for.

        Raises:
            UserError: None is, or it is said twice.
        """
        if (self.level is None) == (self.levels is None):
            raise UserError("Which level is the parent? Give --level=3, or several: --levels=1-5.")
        return (self.level,) if self.level is not None else numbers(self.levels or "")


def lottery(arguments: Sequence[str]) -> None:
    """Parse the flags and run every level."""
    carry_out(work_of(arguments))


def work_of(arguments: Sequence[str]) -> Work:
    """What the flags describe: every level."""
    flags = parse(
        "open_prune.py lottery",
        ABOUT,
        {
            "command": CommandFlags,
            "lottery": LotteryFlags,
            **level_groups(arguments),
            "options": RunOptions,
            "platform": platform_flags(arguments),
        },
        arguments,
        lambda text: named(store_of(arguments), text),
    )
    last = flags.pop("lottery").levels
    made = described(flags, flags["platform"], last)
    return Work(descriptions=made, **flags)


def level_groups(arguments: Sequence[str]) -> dict[str, Hparams]:
    """The groups of flags that describe a lottery: the dense run, and what each level does."""
    given = pruning_preset(preset_name(arguments))
    layers = str(given.pop("layers_to_ignore", ""))
    ignored = tuple(layer for layer in layers.split(",") if layer)
    settings: dict[str, Any] = {**given, "layers_to_ignore": ignored}
    level = LotteryRewind(**settings)
    return {
        "level": renamed(level, pruning_flag),
        "dense": preset_description(arguments),
        "pretraining": PretrainFlags(),
    }


def described(flags: dict[str, Any], platform: Platform, last: int) -> tuple[Description, ...]:
    """The levels, up to the last; takes the groups that describe them out of the flags."""
    level = LotteryRewind(**by_own_names(flags.pop("level"), pruning_flag, LotteryRewind))
    return levels_of(dense_run(flags, platform), level, last)


def dense_run(flags: dict[str, Any], platform: Platform) -> Description:
    """Level 0; takes the groups that describe it out of the flags."""
    recipe, pretraining = pinned(flags.pop("dense"), platform), flags.pop("pretraining")
    if not pretraining.pretrain:
        return recipe
    return pretrained(pinned(pretraining.restated(recipe), platform), recipe)


def pruning_flag(field: str) -> str:
    """The flag of a field of the pruning of a lottery: OpenLTH's, and others in its manner."""
    if field in _OWN_NAMES:
        return field
    return f"pruning_{field.removeprefix('prune_')}"
