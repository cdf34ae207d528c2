"""How a sweep stands: which of its runs are done, under way, waiting, failed, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from platforms.crew import Outcome
    from sweeps.goals import Goal


@dataclass(frozen=True)
class Failure:
    """A run that failed: why, and where what it said is kept."""

    goal: Goal
    reason: str
    log: Path


@dataclass(frozen=True)
class Blocked:
    """A run that cannot begin, because another one that it needs failed."""

    goal: Goal
    by: Goal


@dataclass(frozen=True)
class Standing:
    """Every goal of a sweep, in one of these groups.

    Args:
        done: What is wanted of them is there.
        working: The crew has them.
        elsewhere: Somebody else trains them now.
        waiting: They wait for a parent or for a worker; in the end, those that a stop left over.
        failed: Those that failed, now or before.
        blocked: Those that need one that failed.
        stopped: The signal that asked to stop, if one did.
    """

    done: tuple[Goal, ...] = ()
    working: tuple[Goal, ...] = ()
    elsewhere: tuple[Goal, ...] = ()
    waiting: tuple[Goal, ...] = ()
    failed: tuple[Failure, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    stopped: str | None = None


class Observer(Protocol):
    """Who is told how a sweep goes on."""

    def begun(self, goal: Goal) -> None:
        """The crew was given a run."""

    def ended(self, goal: Goal, outcome: Outcome, reason: str) -> None:
        """The crew is rid of a run; one that was lost is given out again."""

    def look(self, standing: Standing) -> None:
        """It is the time to draw, a few times a second."""


class Unobserved:
    """Nobody is told."""

    def begun(self, goal: Goal) -> None:
        """Nothing."""

    def ended(self, goal: Goal, outcome: Outcome, reason: str) -> None:
        """Nothing."""

    def look(self, standing: Standing) -> None:
        """Nothing."""
