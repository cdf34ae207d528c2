"""``ls``: the runs there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branches import KINDS
from commands.flags import parse
from commands.parsing import platform_flags
from commands.results import end_metric, kept, progress
from commands.text import percent, table
from foundations.errors import OpenPruneError
from foundations.hparams import Hparams
from foundations.store import Store
from reports.words import said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foundations.run_directory import RunDirectory

    _Key = tuple[str, int]
    """A run's name and replicate."""

HEADS = ("run", "replicate", "state", "test accuracy", "weights kept", "description")


@dataclass(frozen=True, kw_only=True)
class ListFlags(Hparams):
    """How to list."""

    tree: bool = False
    """Show which run came from which."""


def ls(arguments: Sequence[str]) -> None:
    """Print a table of the runs below the root."""
    flags = parse(
        "open_prune.py ls",
        "List the runs there are, and their state: done, running, interrupted, failed or new.",
        {"list": ListFlags, "platform": platform_flags(arguments)},
        arguments,
    )
    root = flags["platform"].results_root()
    runs = Store(root).runs()
    if not runs:
        print(f"There are no runs in {root} yet.")  # noqa: T201 - the command's output
        return
    rows = _tree(runs) if flags["list"].tree else [_row(run) for run in runs]
    print(table(HEADS, rows))  # noqa: T201 - the command's output


def _row(run: RunDirectory, indent: str = "") -> tuple[str, ...]:
    try:
        accuracy = end_metric(run, "test accuracy")
        state, weights, about = f"{run.state.value} {progress(run)}".strip(), kept(run), said(run)
    except OpenPruneError as error:
        about = " ".join(line.strip() for line in str(error).splitlines())
        accuracy, state, weights = None, "damaged", "-"
    number = str(run.replicate)
    return (indent + run.name, number, state, percent(accuracy), weights, about)


def _tree(runs: Sequence[RunDirectory]) -> Iterator[tuple[str, ...]]:
    """The rows with branches below their parents, each a little further in."""
    names = {_key(run) for run in runs}
    children: dict[_Key | None, list[RunDirectory]] = {}
    for run in runs:
        above = _parent(run)
        children.setdefault(above if above in names else None, []).append(run)

    def below(parent: _Key | None, depth: int) -> Iterator[tuple[str, ...]]:
        for run in children.get(parent, ()):
            yield _row(run, "  " * depth)
            yield from below(_key(run), depth + 1)

    return below(None, 0)


def _key(run: RunDirectory) -> _Key:
    return run.name, run.replicate


def _parent(run: RunDirectory) -> _Key | None:
    try:
        above = run.description(KINDS).runs()
    except OpenPruneError:
        return None
    return (above[0].description.name, run.replicate) if above else None
