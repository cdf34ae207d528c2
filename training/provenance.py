"""The record of where, when and how a run was computed: one entry a session of work on it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundations.errors import DamageError
from foundations.run_directory import Fact
from platforms.fingerprint import fingerprint, now, provenance

if TYPE_CHECKING:
    import torch

    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from platforms.base import Platform


def recorded_fingerprints(directory: RunDirectory) -> list[dict[str, Json]]:
    """Under what the run was computed so far, each once, in order."""
    found: list[dict[str, Json]] = []
    for session in sessions(directory):
        if session["fingerprint"] not in found:
            found.append(session["fingerprint"])
    return found


def sessions(directory: RunDirectory) -> list[dict[str, Json]]:
    """The sessions of work on the run, in order; none where the record is damaged.

    The record decides nothing, so that damage to it stops nobody: ``damage`` tells of it.
    """
    try:
        recorded = directory.fact(Fact.PROVENANCE)
    except DamageError:
        return []
    return list(recorded["sessions"]) if recorded else []


def damage(directory: RunDirectory) -> str | None:
    """What is wrong with the record, and what to do; None if nothing is."""
    try:
        directory.fact(Fact.PROVENANCE)
    except DamageError as error:
        return str(error)
    return None


def training_seconds(directory: RunDirectory) -> float | None:
    """How long the run was worked on in all; None where nothing is recorded."""
    recorded = sessions(directory)
    return sum(session["seconds"] for session in recorded) if recorded else None


def thread_count(directory: RunDirectory, platform: Platform) -> int:
    """The threads to compute with: those that were asked for, or those that the run began with.

    A run's bytes depend on them, so continuing keeps them; a run that begins takes a fair share.
    """
    recorded = recorded_fingerprints(directory)
    if platform.threads is None and recorded:
        return int(recorded[0]["threads"])
    return platform.thread_count()


@dataclass
class Session:
    """One process's work on a run: written when training begins, and again as it goes on."""

    directory: RunDirectory
    fingerprint: dict[str, Json]
    facts: dict[str, Json]
    clock: float
    earlier: list[dict[str, Json]]

    @classmethod
    def begin(
        cls, directory: RunDirectory, device: torch.device, threads: int, numerics: str
    ) -> Session:
        """A session that begins now."""
        return cls(
            directory=directory,
            fingerprint=fingerprint(device, threads, numerics),
            facts=provenance(),
            clock=time.monotonic(),
            earlier=sessions(directory),
        )

    @property
    def is_new_ground(self) -> bool:
        """Whether the run was begun under another fingerprint: its bytes may differ from here."""
        return any(session["fingerprint"] != self.fingerprint for session in self.earlier)

    def write(self, iterations: int, *, stopped: bool = False) -> None:
        """Bring ``provenance.json`` up to date.

        Args:
            iterations: How many updates were made since the beginning of the session.
            stopped: Whether it ends here because somebody asked it to.
        """
        entry = (
            self.facts
            | {
                "seen": now(),
                "seconds": round(time.monotonic() - self.clock, 3),
                "iterations": iterations,
                "fingerprint": self.fingerprint,
            }
            | ({"stopped": True} if stopped else {})
        )
        self.directory.write_fact(Fact.PROVENANCE, {"sessions": [*self.earlier, entry]})
