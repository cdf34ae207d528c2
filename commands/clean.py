"""``clean``: what can be removed, shown first, removed only when that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.flags import parse
from commands.parsing import platform_flags
from commands.text import table
from foundations.errors import OpenPruneError, check_known
from foundations.hparams import Hparams
from foundations.litter import KINDS, USUAL, clean, is_held, litter
from foundations.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foundations.litter import Item
    from foundations.run_directory import RunDirectory

HEADS = ("run", "what", "size", "because")
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, kw_only=True)
class CleanFlags(Hparams):
    """What is removed, and whether."""

    only: tuple[str, ...] = USUAL
    """What to look for: checkpoints (of runs that are done), parts (of files whose writers were
    killed), states (that are not whole), claims (of workers that are dead); and what is left alone
    unless it is named: replayed (states that can be made again), runs (that never began)."""

    yes: bool = False
    """Remove it. Without this, it is shown alone."""

    def check(self) -> None:
        """Refuse what there is not, and nothing at all."""
        self.require(bool(self.only), "only", f"name some of {', '.join(KINDS)}")
        for kind in self.only:
            check_known("kind of litter", kind, KINDS)


def clean_runs(arguments: Sequence[str]) -> None:
    """Show what can be removed, or remove it."""
    flags = parse(
        "open_prune.py clean",
        "Show what can be removed below the root, and remove it with --yes. Nothing of a run that "
        "somebody works on is touched, and nothing that reading or continuing a run needs.",
        {"clean": CleanFlags, "platform": platform_flags(arguments)},
        arguments,
    )
    chosen, root = flags["clean"], flags["platform"].results_root()
    runs = Store(root).runs()
    found, remarks = _collected(runs, chosen)
    print("\n".join((*_told(found, chosen), *remarks)))  # noqa: T201 - the command's output


def _collected(runs: Sequence[RunDirectory], flags: CleanFlags) -> tuple[list[Item], list[str]]:
    """What there is, removed where that is asked for, and what is to be said of the others."""
    items: list[Item] = []
    remarks: list[str] = []
    for run in runs:
        name = f"{run.name}/{run.path.name}"
        try:
            found = litter(run, flags.only)
            if found and flags.yes:
                removed = clean(run, flags.only)
                if removed is not None:
                    removed += [item for item in found if item.kind == "claims"]
                found = removed or []
        except OpenPruneError as error:
            remarks.append(f"{name} is left alone: {error}")
            continue
        items += found
        if is_held(run):
            remarks.append(f"{name} is left alone: somebody works on it.")
    return items, remarks


def _told(items: Sequence[Item], flags: CleanFlags) -> Iterator[str]:
    if not items:
        nothing = "Nothing was removed" if flags.yes else "There is nothing to remove"
        yield f"{nothing} ({', '.join(flags.only)})."
        return
    yield table(HEADS, map(_row, items))
    total = size(sum(item.size for item in items))
    yield f"{total} were removed." if flags.yes else f"{total} can be removed: --yes removes them."


def _row(item: Item) -> tuple[str, ...]:
    run = f"{item.run.name}/{item.run.path.name}"
    what = item.path.relative_to(item.run.path)
    where = "all of it" if item.kind == "runs" else str(what)
    return (run, f"{item.kind}: {where}", size(item.size), item.reason)


def size(count: int) -> str:
    """A number of bytes as a person would say it: ``1.2 MB``."""
    unit = 0
    value = float(count)
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"
