"""What a branch can grow on: a training job or a lottery that flags describe, or a run by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from commands.flags import flag_names, spelled
from commands.lottery import LevelFlags, described, level_groups
from commands.parsing import named, pinned, preset_description
from foundations.errors import UserError
from training.description import TrainDesc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from branches.base import Branch
    from commands.hparams import CommandFlags
    from foundations.description import Description
    from foundations.hparams import Hparams
    from foundations.store import Store
    from platforms.base import Platform


class Parent(ABC):
    """A parent as the command line names it: the flags it takes, and the runs that they mean."""

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


class Lottery(Parent):
    """``branch lottery ... --level=3``: the flags of ``lottery``."""

    def groups(self, arguments: Sequence[str]) -> dict[str, Hparams | type[Hparams]]:
        """Which levels, what each does, and the dense run."""
        return {"levels": LevelFlags, **level_groups(arguments)}

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

    def groups(self, arguments: Sequence[str]) -> dict[str, Hparams | type[Hparams]]:
        """None: what it is, is written in its directory.

        Raises:
            UserError: Flags of ``train`` are given.
        """
        for flag in ("--default_hparams", *sorted(flag_names(TrainDesc) - flag_names(self.kind))):
            if any(spelled(argument).partition("=")[0] == flag for argument in arguments):
                raise UserError(
                    f"{flag} describes a training job, and the run {self.text} is described "
                    f"already. 'branch train {self.kind.kind}' takes it."
                )
        return {}

    def runs(self, flags: dict[str, Any], platform: Platform) -> tuple[Description, ...]:  # noqa: ARG002 - the interface's
        """The run of this name; where a replicate is named with it, the flags take that one."""
        run = named(self.store, self.text)
        if run.replicate is not None:
            flags["command"] = self._of_replicate(run.replicate, flags["command"])
        return (run.description,)

    def _of_replicate(self, replicate: int, command: CommandFlags) -> CommandFlags:
        if command.replicates is not None or command.replicate != 1:
            raise UserError(
                f"{self.text} names a replicate, and --replicate or --replicates too. Leave one "
                "out: a branch goes with the same replicate of its parent."
            )
        return replace(command, replicate=replicate)


def parent_of(text: str, kind: type[Branch], store: Store) -> Parent:
    """The parent that a word on the command line means."""
    words = {"train": TrainingJob, "lottery": Lottery}
    return words[text]() if text in words else NamedRun(text, store, kind)
