"""What a killed run continues from: the newest two checkpoints, each complete or not there.

``checkpoint.json`` is the truth of a checkpoint. It is written last, is removed first, and holds
the sha256 of ``state.safetensors`` and of the facts. A new checkpoint is complete before an old one
goes, so that once there is a checkpoint there is always one. If the newest is damaged the one
before is used; a run computes the same from either.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundations.errors import DamageError
from foundations.facts import is_checksums
from foundations.files import read_json, sha256_of, write_json
from foundations.step_folders import complete_steps, in_order, remove
from foundations.tensors import load_tensors, save_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch

    from foundations.hparams import Json
    from foundations.steps import Step

KEPT = 2
TRUTH = "checkpoint.json"
_TENSORS = "state.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What a run continues from.

    Args:
        step: Where it is in its training, with as many whole epochs as it has done.
        tensors: Everything that is tensors, by name.
        facts: Everything else, as JSON.
    """

    step: Step
    tensors: Mapping[str, torch.Tensor]
    facts: Json


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Save a checkpoint below ``folder``, then remove all but it and the one before.

    A good checkpoint of the same step is kept as it is: it is the same.

    Raises:
        UserError: The folder cannot be written to.
        OpenPruneError: The disk is full, or fails.
    """
    place = folder / checkpoint.step.folder
    if not _is_good(folder, checkpoint.step):
        remove(place, TRUTH)
        sha256 = save_tensors(place / _TENSORS, checkpoint.tensors)
        facts = checkpoint.facts
        truth = {"sha256": sha256, "facts_sha256": _facts_sum(facts), "facts": facts}
        write_json(place / TRUTH, truth)
    _remove_others(folder, checkpoint.step)


def latest_checkpoint(folder: Path, report: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is not damaged; None if there is none at all.

    Args:
        folder: Where the checkpoints are.
        report: Told of each damaged checkpoint that is passed over.

    Raises:
        DamageError: There are checkpoints, and all are damaged.
    """
    errors = []
    for step in reversed(complete_steps(folder, TRUTH)):
        try:
            checkpoint = _load(folder, step)
        except DamageError as error:
            errors.append(str(error))
            continue
        for message in errors:
            report(f"{message} Continuing from the checkpoint before, {checkpoint.step}.")
        return checkpoint
    if errors:
        raise DamageError(
            f"{' '.join(errors)} No checkpoint is left to continue from. Delete {folder} to train "
            "from the beginning."
        )
    return None


def clear_checkpoints(folder: Path) -> None:
    """Remove all checkpoints; for a run that is complete."""
    for step in complete_steps(folder, TRUTH):
        remove(folder / step.folder, TRUTH)
    remove(folder, TRUTH)


def _load(folder: Path, step: Step) -> Checkpoint:
    place = folder / step.folder
    truth = read_json(place / TRUTH)
    if not isinstance(truth, dict) or not {"sha256", "facts_sha256", "facts"} <= truth.keys():
        raise DamageError(f"{place / TRUTH} is damaged: it is no record of a checkpoint.")
    if not is_checksums({name: truth[name] for name in ("sha256", "facts_sha256")}):
        raise DamageError(f"{place / TRUTH} is damaged: its checksums are none.")
    if _facts_sum(truth["facts"]) != truth["facts_sha256"]:
        raise DamageError(f"{place / TRUTH} is damaged: its facts are not what was written.")
    tensors = load_tensors(place / _TENSORS, truth["sha256"]).tensors
    return Checkpoint(step, tensors, truth["facts"])


def _is_good(folder: Path, step: Step) -> bool:
    try:
        _load(folder, step)
    except (FileNotFoundError, DamageError):
        return False
    return True


def _remove_others(folder: Path, step: Step) -> None:
    """Remove what is older than the one before this step, and the damaged ones beyond it."""
    steps = complete_steps(folder, TRUTH)
    kept = [other for other in steps if in_order(other) <= in_order(step)][-KEPT:]
    for other in steps:
        if other not in kept:
            remove(folder / other.folder, TRUTH)


def _facts_sum(facts: Json) -> str:
    read_back = json.loads(json.dumps(facts))  # the keys are texts then, and sorted as such
    return sha256_of(json.dumps(read_back, sort_keys=True).encode())
