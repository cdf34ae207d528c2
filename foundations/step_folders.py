"""Folders that belong to steps, ``ep3_it200``, each complete once it holds its truth.

The truth is the file that is written last and removed first: a folder without it counts as absent.
Folders with other names are not ours.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from foundations.files import clear_errors, sync_directory
from foundations.steps import Step

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"ep(\d+)_it(\d+)")


def complete_steps(folder: Path, truth: str) -> list[Step]:
    """The steps below a folder whose folders are complete, in order."""
    steps = [step_of(path.parent.name) for path in folder.glob(f"*/{truth}")]
    return sorted((step for step in steps if step is not None), key=in_order)


def in_order(step: Step) -> tuple[int, int]:
    """A key that sorts steps by time, where each has as many whole epochs as it makes."""
    return step.epoch, step.iteration


def step_of(name: str) -> Step | None:
    """The step whose folder has this name; None if no step has."""
    match = _NAME.fullmatch(name)
    return match and Step(int(match[1]), int(match[2]))


def uncover(place: Path, truth: str) -> None:
    """Remove the truth of a folder, for certain before anything else in it changes."""
    with clear_errors(place):
        if (place / truth).exists():
            (place / truth).unlink()
            sync_directory(place)


def remove(place: Path, truth: str) -> None:
    """Remove a folder, so that it counts as absent from the first moment."""
    uncover(place, truth)
    with clear_errors(place):
        if place.exists():
            shutil.rmtree(place)


def half_made(folder: Path, truth: str) -> list[Path]:
    """The folders of steps that were never completed."""
    places = (place for place in folder.glob("ep*_it*") if step_of(place.name))
    return [place for place in places if not (place / truth).exists()]


def remove_half_made(folder: Path, truth: str) -> None:
    """Remove the folders of steps that were never completed.

    Only for the one who has the directory to himself.
    """
    for place in half_made(folder, truth):
        remove(place, truth)
