"""``train``: train a network from its initialization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches.describing import pinned
from commands.flags import parse
from commands.hparams import CommandFlags
from commands.parsing import platform_flags, preset_description
from commands.work import Work, carry_out
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

ABOUT = """Train a network from its initialization.

The same command twice does the work once; a command that was stopped continues."""


def train(arguments: Sequence[str]) -> None:
    """Parse the flags and train."""
    carry_out(work_of(arguments))


def work_of(arguments: Sequence[str]) -> Work:
    """What the flags describe."""
    flags = parse(
        "open_prune.py train",
        ABOUT,
        {
            "command": CommandFlags,
            "description": preset_description(arguments),
            "options": RunOptions,
            "platform": platform_flags(arguments),
        },
        arguments,
    )
    made = pinned(flags.pop("description"), flags["platform"])
    return Work(descriptions=(made,), **flags)
