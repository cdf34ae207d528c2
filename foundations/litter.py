"""What lies in the directories of runs that nobody needs, and how it is removed.

The truth is what it is in ``run_directory``: a run is done if its ``done.json`` says so, a state is
there if its ``state.json`` is. What is found while others work is advice: it is looked for again
once the run is claimed, and only then removed. What a living worker holds is left alone.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foundations import checkpoints, claims, states
from foundations.claims import Claim, owner_of
from foundations.files import PART, clear_errors, part_name
from foundations.run_directory import DIGESTS, DONE, METRICS, Fact
from foundations.step_folders import half_made, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from foundations.run_directory import RunDirectory

_CHECKPOINT, _REPLAYED = "checkpoint", "replayed"
_TRUTHS = {
    _CHECKPOINT: checkpoints.TRUTH,
    "states": states.TRUTH,
    _REPLAYED: states.TRUTH,
}
"""The folders of a run that have a folder for each step, and what makes one of these complete."""

_BEGUN = (DONE, METRICS, DIGESTS, _CHECKPOINT, *(f.value for f in (Fact.START, Fact.FAILED)))
"""What only a run that has begun has: if one alone is lost, the others tell that it did."""


@dataclass(frozen=True)
class Item:
    """Something that can be removed.

    Args:
        run: Whose it is.
        kind: One of ``KINDS``.
        path: Where it lies.
        size: In bytes.
        reason: Why nobody needs it.
    """

    run: RunDirectory
    kind: str
    path: Path
    size: int
    reason: str


def is_held(run: RunDirectory) -> bool:
    """Whether a living worker has the run."""
    owner = owner_of(run.path)
    return owner is not None and owner.alive


def litter(run: RunDirectory, kinds: Collection[str]) -> list[Item]:
    """What can be removed of a run that nobody works on; nothing of one that somebody does.

    Raises:
        DamageError: Its ``done.json`` is damaged: whether it is done is not known.
    """
    return [] if is_held(run) else _found(run, kinds)


def clean(run: RunDirectory, kinds: Collection[str]) -> list[Item] | None:
    """Claim a run and remove what can be removed of it.

    Returns:
        What was removed; None where somebody works on the run.

    Raises:
        DamageError: As for ``litter``.
        UserError: It cannot be written to.
    """
    claim = Claim.acquire(run.path)
    if claim is None:
        return None
    with claim:  # the claim of a dead owner was taken over by that, and is released after it
        found = _found(run, [kind for kind in kinds if kind != "claims"])
        for item in found:
            claim.check()
            with clear_errors(item.path):
                _remove(item)
    return found


def _found(run: RunDirectory, kinds: Collection[str]) -> list[Item]:
    never = next(_never_begun(run), None)
    if never is not None:
        return [never] if never.kind in kinds else []
    return [item for kind in kinds for item in KINDS[kind](run)]


def _checkpoints(run: RunDirectory) -> Iterator[Item]:
    path = run.path / _CHECKPOINT
    if _is_folder(path) and run.done() is not None:
        yield Item(run, "checkpoints", path, size_of(path), "the run is done")


def _parts(run: RunDirectory) -> Iterator[Item]:
    for folder, names, files in os.walk(run.path):
        names[:] = [name for name in names if Path(folder, name) != run.path / claims.FOLDER]
        for path in (Path(folder, name) for name in files):
            if path.name.startswith(".") and path.name.endswith(PART):
                yield Item(run, "parts", path, size_of(path), "its writer was killed")


def _half_made(run: RunDirectory) -> Iterator[Item]:
    for folder, truth in _TRUTHS.items():
        for path in half_made(run.path / folder, truth):
            yield Item(run, "states", path, size_of(path), f"it has no {truth}: it is not whole")


def _stale_claims(run: RunDirectory) -> Iterator[Item]:
    owner = owner_of(run.path)
    if owner is not None and not owner.alive:
        path = run.path / claims.FOLDER
        yield Item(run, "claims", path, size_of(path), f"{owner} is dead")


def _replayed(run: RunDirectory) -> Iterator[Item]:
    path = run.path / _REPLAYED
    if _is_folder(path):
        yield Item(run, "replayed", path, size_of(path), "it can be made again")


def _never_begun(run: RunDirectory) -> Iterator[Item]:
    """A directory that holds a description, and perhaps what was left on the way to a start."""
    if _is_folder(run.path) and not any((run.path / name).exists() for name in _BEGUN):
        reason = "it never began; one that waits in a queue looks the same"
        yield Item(run, "runs", run.path, size_of(run.path), reason)


def _is_folder(path: Path) -> bool:
    """Whether it is a folder that lies here: what a link leads to may be somebody else's."""
    return path.is_dir() and not path.is_symlink()


KINDS: dict[str, Callable[[RunDirectory], Iterator[Item]]] = {
    "checkpoints": _checkpoints,
    "parts": _parts,
    "states": _half_made,
    "claims": _stale_claims,
    "replayed": _replayed,
    "runs": _never_begun,
}
"""What can be removed."""

USUAL = ("checkpoints", "parts", "states", "claims")
"""What is removed unless others are named: these cost time to make again, or may be waited for."""


def _remove(item: Item) -> None:
    """Remove something of a run that is claimed."""
    if item.kind == "runs":
        gone = part_name(item.path)  # so that it is there or not, whenever this is stopped
        item.path.rename(gone)
        shutil.rmtree(gone)
        with suppress(OSError):
            item.path.parent.rmdir()  # unless there are other replicates
    elif item.kind == "states":
        remove(item.path, _TRUTHS[item.path.parent.name])
    elif item.kind == "parts":
        item.path.unlink(missing_ok=True)
    else:
        for place in (place for place in item.path.iterdir() if place.is_dir()):
            remove(place, _TRUTHS[item.path.name])
        shutil.rmtree(item.path)


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files below a folder; of what vanishes meanwhile, none."""
    total = 0
    with suppress(OSError):
        total += path.stat().st_size if path.is_file() else 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += Path(folder, name).lstat().st_size
    return total
