"""What the small JSON files of a run directory hold, and whether one that was read holds it.

Somebody may have edited a file, cut it short, or copied it from another replicate: well-formed JSON
is not yet what was written. Each function below takes the value that was read and returns what is
wrong with it, in words that follow "it is damaged:"; None if nothing is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from foundations.hparams import Json


def start_error(value: Json, replicate: int) -> str | None:
    """``start.json``: where training begins and ends, of which replicate, and a digest."""
    if not isinstance(value, dict):
        return "it is no record of a start"
    at_least = {"iteration": 0, "iterations_per_epoch": 1, "end": 0, "replicate": 0}
    for name, least in at_least.items():
        if not _is_count(value.get(name), least):
            return f"{name!r} is no whole number of {least} or more"
    if not isinstance(value.get("sha256"), str) or not isinstance(value.get("facts"), dict):
        return "it has no 'sha256' or no 'facts'"
    if not isinstance(value.get("measured", []), list) or not all(
        map(_is_measure, value.get("measured", []))
    ):
        return "what was 'measured' is no list of phases, names and numbers"
    return _replicate_error(value, replicate)


def sparsity_error(value: Json) -> str | None:
    """``sparsity.json``: kept and total weights, of each layer and in all."""
    if not isinstance(value, dict) or not isinstance(value.get("layers"), list):
        return "it has no 'layers'"
    for row in [value, *value["layers"]]:
        if not isinstance(row, dict) or not (
            _is_count(row.get("kept")) and _is_count(row.get("total"))
        ):
            return "it lacks counts of kept and of all weights"
    for row in value["layers"]:
        if not isinstance(row.get("layer"), str) or not isinstance(row.get("shape"), list):
            return "a layer has no name or no shape"
    return None


def provenance_error(value: Json) -> str | None:
    """``provenance.json``: sessions, each with its seconds and its fingerprint."""
    sessions = value.get("sessions") if isinstance(value, dict) else None
    if not isinstance(sessions, list):
        return "it has no 'sessions'"
    for session in sessions:
        made = session.get("fingerprint") if isinstance(session, dict) else None
        if not isinstance(made, dict) or not _is_count(made.get("threads"), 1):
            return "a session has no fingerprint with its threads"
        if not _is_number(session.get("seconds")):
            return "a session has no seconds"
    return None


def failure_error(value: Json) -> str | None:
    """``failed.json``: the reason."""
    right = isinstance(value, dict) and isinstance(value.get("reason"), str)
    return None if right else "it has no 'reason'"


def seal_error(value: Json, replicate: int, sealed: Collection[str]) -> str | None:
    """``done.json``: end metrics, and checksums of the ``sealed`` files and of states."""
    if not isinstance(value, dict):
        return "it is no seal of a run"
    parts = [value.get(name) for name in ("metrics", "states", "sha256")]
    if not all(isinstance(part, dict) for part in parts):
        return "it has no 'metrics', 'states' or 'sha256'"
    if not all(_is_metric(number) for number in value["metrics"].values()):
        return "an end metric is no number"
    sums = [value["sha256"], *value["states"].values()]
    if not all(map(is_checksums, sums)) or not value["sha256"].keys() <= set(sealed):
        return "its checksums are none"
    return _replicate_error(value, replicate)


def is_checksums(value: Json) -> bool:
    """Whether a value is checksums by the names of files."""
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _replicate_error(value: dict[str, Json], replicate: int) -> str | None:
    found = value.get("replicate")
    if _is_count(found) and found == replicate:
        return None
    return f"it is of replicate {found!r}, and lies in the directory of replicate {replicate}"


def _is_count(value: Json, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_measure(value: Json) -> bool:
    """Phase, name and value."""
    row = value if isinstance(value, list) and len(value) == 3 else [None] * 3
    return isinstance(row[0], str) and isinstance(row[1], str) and _is_metric(row[2])


def _is_metric(value: Json) -> bool:
    """A number, or how JSON must write one that is not finite."""
    return _is_number(value) or value in ("nan", "inf", "-inf")
