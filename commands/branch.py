"""``branch``: derive a run from saved states of another."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from branches import KINDS, branches
from commands.flags import HelpShown, flag_names, parse, spelled, value_of
from commands.hparams import CommandFlags
from commands.parsing import pinned, preset_description
from commands.work import Work, carry_out, platform_flags
from foundations.description import BranchDesc, RunRef
from foundations.errors import UserError, unknown
from foundations.store import Store
from training.description import TrainDesc
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from branches.base import Branch
    from foundations.description import Description
    from foundations.hparams import Hparams

USAGE = """usage: open_prune.py branch PARENT BRANCH [flags]

Derive a run from saved states of another one. States that are missing are made first.

PARENT  train (a training job, described by the flags of 'train'), or the name of a run
        or its unambiguous beginning; with /replicate_3 behind it, of that replicate
BRANCH  {branches}

'open_prune.py branch train BRANCH --help' shows the flags."""


def branch(arguments: Sequence[str]) -> None:
    """Parse parent, branch and flags, and run the branch."""
    words = [word for word in arguments[:2] if not word.startswith("-")]
    if len(words) < 2:
        usage = USAGE.format(branches=", ".join(branches()))
        if {"-h", "--help"} & set(arguments):
            print(usage)  # noqa: T201 - the help
            raise HelpShown
        raise UserError(usage)
    parent, kind = words
    if kind not in branches():
        raise unknown("branch", kind, branches())
    _run(parent, KINDS[kind], arguments[2:])


def _run(parent: str, kind: type[Branch], arguments: Sequence[str]) -> None:
    root = platform_flags(arguments)(root=value_of("--root", arguments)).results_root()
    store = Store(root)
    groups: dict[str, Hparams | type[Hparams]] = {"command": CommandFlags, "branch": kind}
    if parent == "train":
        groups["parent"] = preset_description(arguments)
    else:
        _refuse_training_flags(parent, kind, arguments)
    groups |= {"options": RunOptions, "platform": platform_flags(arguments)}
    title = f"open_prune.py branch {parent} {kind.kind}"
    flags = parse(title, kind.__doc__ or "", groups, arguments, lambda text: _named(store, text))
    if parent == "train":
        made: Description = pinned(flags.pop("parent"), flags["platform"])
    else:
        run = _named(store, parent)
        made = run.description
        flags["command"] = _of_replicate(run, parent, flags["command"], arguments)
    description = BranchDesc(parent=made, branch=flags.pop("branch"))
    carry_out(Work(description=description, **flags))


def _named(store: Store, text: str) -> RunRef:
    """The run of this name; of one replicate only where the text says which.

    A run that is named without one stands for all its replicates: each replicate of a branch
    goes with the same replicate of it.
    """
    prefix, _, folder = text.strip("/").partition("/")
    if folder:
        run = store.find(text)
        return RunRef(run.description(KINDS), run.replicate)
    runs = {run.name: run for run in store.runs() if prefix and run.name.startswith(prefix)}
    if not runs and get_close_matches(text, ["train"], cutoff=0.7):
        raise unknown("run", text, ["train"])
    one = next(iter(runs.values())) if len(runs) == 1 else runs.get(prefix)
    return RunRef((one or store.find(text)).description(KINDS))


def _of_replicate(
    parent: RunRef, text: str, command: CommandFlags, arguments: Sequence[str]
) -> CommandFlags:
    """The flags with the replicate of a parent that was named with one.

    Raises:
        UserError: The flags ask for another.
    """
    if parent.replicate is None:
        return command
    if value_of("--replicates", arguments) or value_of("--replicate", arguments):
        raise UserError(
            f"{text} names a replicate, and --replicate or --replicates too. Leave one out: a "
            "branch goes with the same replicate of its parent."
        )
    return replace(command, replicate=parent.replicate)


def _refuse_training_flags(parent: str, kind: type[Branch], arguments: Sequence[str]) -> None:
    """Refuse flags of ``train`` where the parent is a run: it has its own values already."""
    for flag in ("--default_hparams", *sorted(flag_names(TrainDesc) - flag_names(kind))):
        if any(spelled(argument).partition("=")[0] == flag for argument in arguments):
            raise UserError(
                f"{flag} describes a training job, and the run {parent} is described already. "
                f"'branch train {kind.kind}' takes it."
            )
