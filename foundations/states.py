"""How the states of a run are kept: one folder a step, complete or not there.

``state.json`` is the truth. It is written last and holds the sha256 of every other file of its
folder; a folder without it is no state, whatever lies in it. To write a state again it is removed
first. A file that is not what ``state.json`` says is damaged, and named.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from foundations.errors import DamageError, UserError
from foundations.facts import is_checksums
from foundations.files import (
    changed,
    missing,
    read_json,
    sha256_of,
    verify,
    write_atomically,
    write_json,
)
from foundations.step_folders import complete_steps, step_of, uncover
from foundations.tensors import TensorFile, load_tensors, to_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from foundations.steps import Step

TRUTH = "state.json"
MODEL, MASK, OPTIMIZER = "model.safetensors", "mask.safetensors", "optimizer.safetensors"


@dataclass(frozen=True)
class SavedState:
    """A state as it was saved.

    Args:
        step: The step it belongs to.
        model: Parameters and buffers by name.
        mask: The packed mask; None where none was saved.
        optimizer: The optimizer's state; None where none was saved.
    """

    step: Step
    model: Mapping[str, torch.Tensor]
    mask: TensorFile | None = None
    optimizer: TensorFile | None = None


def save_state(folder: Path, state: SavedState) -> None:
    """Save a state into the folder of its step below ``folder``.

    Raises:
        UserError: The folder cannot be written to.
        OpenPruneError: The disk is full, or fails.
    """
    place = folder / state.step.folder
    parts = {MODEL: TensorFile(state.model), MASK: state.mask, OPTIMIZER: state.optimizer}
    files = {name: to_bytes(*part) for name, part in parts.items() if part is not None}
    sums = {name: sha256_of(data) for name, data in files.items()}
    if _is_saved(place, sums):
        return
    uncover(place, TRUTH)
    for name, data in files.items():
        write_atomically(place / name, data)
    write_json(place / TRUTH, {"step": str(state.step), "sha256": sums})


def load_state(folder: Path, step: Step) -> SavedState:
    """The state of a step, on the CPU.

    Raises:
        UserError: It was not saved.
        DamageError: A file of it is not what was written.
    """
    place = folder / step.folder
    if not (place / TRUTH).exists():
        saved = ", ".join(map(str, saved_steps(folder))) or "none"
        raise UserError(f"There is no state at {step} in {folder}. Saved are: {saved}.")
    sums = checksums(place)
    parts = {name: load_tensors(place / name, sums[name]) for name in sums}
    if MODEL not in parts:
        raise DamageError(f"{place / TRUTH} is damaged: it names no {MODEL}.")
    return SavedState(step, parts[MODEL].tensors, parts.get(MASK), parts.get(OPTIMIZER))


def saved_steps(folder: Path) -> list[Step]:
    """The steps of the complete states below a folder, in order."""
    return complete_steps(folder, TRUTH)


def checksums(place: Path) -> dict[str, str]:
    """The sha256 of each file of a state, as its ``state.json`` has them.

    Raises:
        DamageError: ``state.json`` is damaged.
    """
    truth = read_json(place / TRUTH)
    sums = truth.get("sha256") if isinstance(truth, dict) else None
    if sums is None or not is_checksums(sums) or not sums.keys() <= {MODEL, MASK, OPTIMIZER}:
        raise DamageError(f"{place / TRUTH} is damaged: it holds no checksums of a state.")
    step = step_of(place.name)
    if truth.get("step") != str(step):
        raise DamageError(f"{place / TRUTH} is damaged: it is the state of another step.")
    return cast("dict[str, str]", sums)


def verify_states(
    folder: Path, sealed: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> dict[str, dict[str, str]]:
    """Check every file of every state.

    Args:
        folder: Where the states are.
        sealed: The checksums by folder and file of states that must be there.

    Returns:
        The checksums by folder and file.

    Raises:
        DamageError: Names the file that is not what was written.
    """
    found = {step.folder: checksums(folder / step.folder) for step in saved_steps(folder)}
    for name, sums in sealed.items():
        if name not in found:
            raise missing(folder / name / TRUTH)
        if found[name] != sums:
            raise changed(folder / name / TRUTH)
    for name, sums in found.items():
        for file, sha256 in sums.items():
            verify(folder / name / file, sha256)
    return found


def _is_saved(place: Path, sums: dict[str, str]) -> bool:
    """Whether exactly these files are there, complete and undamaged."""
    try:
        return checksums(place) == sums and all(
            sha256_of(place / name) == sha256 for name, sha256 in sums.items()
        )
    except (FileNotFoundError, DamageError):
        return False
