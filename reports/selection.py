"""Which runs are meant: all below a root, or those of names that the user writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from branches.run import Job
    from foundations.description import Description
    from foundations.run_directory import RunDirectory
    from foundations.store import Store


def selected(store: Store, words: Iterable[str] = ()) -> list[RunDirectory]:
    """The runs that words name, each once, in the order of names and replicates.

    Args:
        store: The runs there are.
        words: Names or beginnings of names, each for all runs that begin so, or
            ``NAME/replicate_R`` for one. No words are all runs.

    Raises:
        UserError: There is no run that a word names; the nearest is suggested.
    """
    runs = store.runs()
    words = list(words)
    if not words:
        return runs
    wanted = {run.path for word in words for run in _named(store, runs, word.strip("/"))}
    return [run for run in runs if run.path in wanted]


def of_jobs(store: Store, jobs: Iterable[Job]) -> list[RunDirectory]:
    """The runs of a sweep that have begun, and those that they came from, as ``selected`` has them.

    Args:
        store: The runs there are.
        jobs: What the sweep asks for.
    """
    wanted = {path for job in jobs for path in _family(store, job.description, job.replicate)}
    return [run for run in store.runs() if run.path in wanted]


def _family(store: Store, description: Description, replicate: int) -> Iterator[Path]:
    yield store.run(description, replicate).path
    for ref in description.runs():
        own = replicate if ref.replicate is None else ref.replicate
        yield from _family(store, ref.description, own)


def _named(store: Store, runs: list[RunDirectory], word: str) -> list[RunDirectory]:
    found = [run for run in runs if word and "/" not in word and run.name.startswith(word)]
    return found or [store.find(word)]
