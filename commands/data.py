"""``data``: which data sets are there, where they are looked for, how to get them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.flags import parse
from commands.parsing import platform_flags
from datasets.status import status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datasets.status import Status


def data(arguments: Sequence[str]) -> None:
    """Print the status of every data set."""
    flags = parse(
        "open_prune.py data",
        "Which data sets are there, where they are looked for, and how to get the others.",
        {"platform": platform_flags(arguments)},
        arguments,
    )
    root = flags["platform"].datasets_root()
    print(f"Data sets are kept in {root} (--data_root, then OPEN_PRUNE_DATA).")  # noqa: T201
    for entry in status(root):
        print("\n".join(("", *_lines(entry))))  # noqa: T201 - the command's output


def _lines(entry: Status) -> Iterator[str]:
    state = {True: "here", False: "missing", None: "where you say"}[entry.present]
    yield f"{entry.name}: {state}. {entry.summary}"
    if entry.where:
        yield f"  in {entry.where}"
        return
    if entry.looked:
        yield f"  looked in {', '.join(map(str, entry.looked))}"
        yield f"  for {entry.lacks[0]}"
    yield f"  to get it: {entry.get}"
    if entry.downloads:
        yield "  downloaded when it is first used, where there is a network"
