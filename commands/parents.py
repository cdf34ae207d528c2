"""What a branch can grow on: a training job or a lottery that flags describe, or a run by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from branches.describing import pinned
from commands.flags import flag_names, spelled
from commands.lottery import LevelFlags, described, level_groups
from commands.parsing import named, preset_description
from foundations.errors import UserError
from training.description import TrainDesc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from branches.base import Branch
    from foundations.description import Description
    from foundations.hparams import Hparams
    from foundations.store import Store
    from platforms.base import Platform


class Parent(ABC):
    """A parent as the command line names it: the flags it takes, and the runs that they mean."""

    @property
    def named(self) -> tuple[str, ...]:
        """The names of the runs that it is, where it is named by them."""
        return ()

    @abstractmethod
    def groups(self, arguments: Sequence[str]) -> dict[str, Hparams | type[Hparams]]:
        """The groups of flags that describe it."""

    @abstractmethod
    def runs(self, flags: dict[str, Any], platform: Platform) -> tuple[Description, ...]:
        """The runs to grow on; takes its own groups out of the flags."""


class TrainingJob(Parent):
    """``branch train ...``: the flags of ``train``."""

    def groups(self, arguments: Sequence[str]) -> dict[str, Hparams | type[Hparams]]:
        """Network, data and training."""
        return {"parent": preset_description(arguments)}

    def runs(self, flags: dict[str, Any], platform: Platform) -> tuple[Description, ...]:
        """The one run that they describe."""
        return (pinned(flags.pop("parent"), platform),)


@dataclass(frozen=True)
class Lottery(Parent):
    """``branch lottery ... --level=3``: the flags of ``lottery``."""

    kind: type[Branch]

    def groups(self, arguments: Sequence[str]) -> dict[str, Hparams | type[Hparams]]:
        """Which levels, what each does, and the dense run.

        Raises:
            UserError: The branch has flags of the same names.
        """
        levels = level_groups(arguments)
        own = flag_names(self.kind)
        if both := sorted(flag for group in levels.values() for flag in flag_names(group) & own):
            raise UserError(
                f"{self.kind.kind} and the lottery both have {' and '.join(both)}. Name the level "
                f"instead: 'branch RUN {self.kind.kind}' ('ls' lists the runs)."
            )
        return {"levels": LevelFlags, **levels}

    def runs(self, flags: dict[str, Any], platform: Platform) -> tuple[Description, ...]:
        """The levels that are asked for."""
        asked = flags.pop("levels").numbers
        levels = described(flags, platform, max(asked))
        return tuple(levels[level] for level in asked)


@dataclass(frozen=True)
class NamedRun(Parent):
    """``branch RUN ...``: a run that exists."""

    text: str
    store: Store
    kind: type[Branch]

    @property
    def named(self) -> tuple[str, ...]:
        """The one."""
        return (self.text,)

    def groups(self, arguments: Sequence[str]) -> dict[str, Hparams | type[Hparams]]:
        """None: what it is, is written in its directory.

        Raises:
            UserError: Flags of ``train`` or ``lottery`` are given, to a run that exists or to none,
                or a replicate twice.
        """
        given = {spelled(argument).partition("=")[0] for argument in arguments}
        twice = sorted(given & {"--replicate", "--replicates"})
        if twice and "/" in self.text.strip("/"):
            raise UserError(
                f"{self.text} names a replicate, and {twice[0]} too. Leave one out: a branch goes "
                "with the same replicate of its parent."
            )
        of_a_job = {"--default_hparams", *flag_names(TrainDesc)}
        words = (
            ("train", "a training job", of_a_job),
            ("lottery", "levels of a lottery", flag_names(LevelFlags)),
        )
        for word, what, flags in words:
            if wrong := sorted(given & flags - flag_names(self.kind)):
                named(self.store, self.text)  # it is a misspelled 'train' more often than a run
                raise UserError(
                    f"{wrong[0]} describes {what}, and the run {self.text} is described "
                    f"already. 'branch {word} {self.kind.kind}' takes it."
                )
        return {}

    def runs(self, flags: dict[str, Any], platform: Platform) -> tuple[Description, ...]:  # noqa: ARG002 - the interface's
        """The run of this name; where a replicate is named with it, the flags take that one."""
        run = named(self.store, self.text)
        if run.replicate is not None:
            flags["command"] = replace(flags["command"], replicate=run.replicate)
        return (run.description,)


def parent_of(text: str, kind: type[Branch], store: Store) -> Parent:
    """The parent that a word on the command line means."""
    if text == "lottery":
        return Lottery(kind)
    return TrainingJob() if text == "train" else NamedRun(text, store, kind)
