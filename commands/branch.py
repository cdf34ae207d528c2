"""``branch``: derive a run from saved states of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches import KINDS, branches
from commands.cuts import with_cuts
from commands.flags import HelpShown, parse
from commands.hparams import CommandFlags
from commands.parents import parent_of
from commands.parsing import named, platform_flags, store_of
from commands.work import Work, carry_out
from foundations.description import BranchDesc
from foundations.errors import UserError, check_known
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from branches.base import Branch
    from foundations.hparams import Hparams

USAGE = """usage: open_prune.py branch PARENT BRANCH [flags]

Derive a run from saved states of another one. States that are missing are made first.

PARENT  train (a training job, described by the flags of 'train'), lottery (levels of a
        lottery, described by the flags of 'lottery' and --level or --levels), or the name of
        a run or its unambiguous beginning; with /replicate_3 behind it, of that replicate
BRANCH  {branches}

'open_prune.py branch train BRANCH --help' shows the flags."""


def branch(arguments: Sequence[str]) -> None:
    """Parse parent, branch and flags, and run the branch."""
    carry_out(work_of(arguments))


def work_of(arguments: Sequence[str]) -> Work:
    """What parent, branch and flags describe.

    Raises:
        HelpShown: The help was asked for.
        UserError: A word is missing, or unknown; a flag is.
    """
    words = [word for word in arguments[:2] if not word.startswith("-")]
    if len(words) < 2:
        usage = USAGE.format(branches=", ".join(branches()))
        if {"-h", "--help"} & set(arguments):
            print(usage)  # noqa: T201 - the help
            raise HelpShown
        raise UserError(usage)
    parent, kind = words
    check_known("branch", kind, branches())
    return _work(parent, KINDS[kind], arguments[2:])


def _work(parent: str, kind: type[Branch], arguments: Sequence[str]) -> Work:
    store = store_of(arguments)
    source = parent_of(parent, kind, store)
    arguments = with_cuts(arguments, source.named)
    groups: dict[str, Hparams | type[Hparams]] = {
        "command": CommandFlags,
        "branch": kind,
        **source.groups(arguments),
        "options": RunOptions,
        "platform": platform_flags(arguments),
    }
    title = f"open_prune.py branch {parent} {kind.kind}"
    flags = parse(title, kind.__doc__ or "", groups, arguments, lambda text: named(store, text))
    platform = flags["platform"]
    parents = source.runs(flags, platform)
    branch = flags.pop("branch").pinned(platform.datasets_root(), platform.num_workers)
    made = tuple(BranchDesc(parent=description, branch=branch) for description in parents)
    return Work(descriptions=made, **flags)
