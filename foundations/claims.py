"""Who may work on a run: one worker at a time, on however many machines.

The truth is a directory: ``claim/<n>``, made in one stroke by renaming a private directory that
already holds ``owner.json``. A rename onto a number that exists fails, on every file system that
can be shared (file locks do not hold there). The highest number counts, alone. Its owner holds the
run until ``owner.json`` is renamed to ``released.json``, or until he is found dead; then the next
number is free to be made. Numbers never go back: the highest is never removed, only those below it,
by the owner. So whoever acts on an old listing wins a number below the highest at most, sees that
when he lists again, and gives way.

Only advice is the heartbeat: it decides about owners on other machines, who may be paused for
longer than it allows. Such an owner finds out when he checks his claim, which he does before
everything that others read; and since a run is a function of its description, what he wrote in
between is what the new owner writes.

Damage: an ``owner.json`` that cannot be read belongs to a stranger, who is dead when his heartbeat
stops. A claim directory that was deleted is a claim lost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from foundations.errors import DamageError, InterruptedRunError
from foundations.files import (
    PART,
    clear_errors,
    part_name,
    read_json,
    readable,
    sync_directory,
    write_json,
)
from foundations.owners import Owner, now_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDER = "claim"
_OWNER = "owner.json"
_RELEASED = "released.json"


class ClaimLostError(InterruptedRunError):
    """Another worker has taken the run over and goes on from the last checkpoint, or it is gone."""


@dataclass(frozen=True)
class Timing:
    """How often an owner shows that he lives, and when another machine believes that he does not.

    Args:
        heartbeat_s: Seconds between two heartbeats.
        stale_s: Seconds of silence after which an owner on another machine counts as dead.
    """

    heartbeat_s: float = 15.0
    stale_s: float = 120.0


class Claim:
    """The right to work on the run in a directory; released at the end of a ``with`` block."""

    def __init__(self, directory: Path, number: int, owner: Owner, timing: Timing) -> None:
        self.directory = directory
        self.owner = owner
        self.number = number
        self._stop = threading.Event()
        self._heart = threading.Thread(
            target=_beat,
            args=(self._folder / _OWNER, timing.heartbeat_s, self._stop),
            name=f"heartbeat of {directory.name}",
            daemon=True,
        )
        self._heart.start()

    @classmethod
    def acquire(
        cls,
        directory: Path,
        *,
        wait: Callable[[Owner], None] | None = None,
        timing: Timing | None = None,
    ) -> Claim | None:
        """Claim the run in ``directory``, once nobody living holds it.

        Args:
            directory: The directory of the run.
            wait: Called with the owner again and again while there is one; it sleeps, says so, and
                may raise to give up. With None, nobody waits.
            timing: Of heartbeats.

        Returns:
            The claim; None if somebody else has it and there is no ``wait``.

        Raises:
            UserError: The directory cannot be written to.
            OpenPruneError: The disk is full, or fails.
        """
        timing = timing or Timing()
        while True:
            highest, owner = _look(directory / FOLDER, timing)
            if owner is None or not owner.alive:
                me = Owner.me()
                if _try(directory / FOLDER, highest + 1, me, timing):
                    return cls(directory, highest + 1, me, timing)
            elif wait is None:
                return None
            else:
                wait(owner)

    def check(self) -> None:
        """Make sure that the claim still holds.

        Raises:
            ClaimLostError: Another worker has taken it over, or the directory is gone.
        """
        if _highest(self.directory / FOLDER) == self.number and self._is_mine():
            return
        holder = self.directory / FOLDER
        if not holder.is_dir():
            gone = holder if self.directory.is_dir() else self.directory
            raise ClaimLostError(
                f"{gone} is gone: it was deleted or moved away while this process worked on the "
                "run. It stops here. Move it back to continue from the last checkpoint; without "
                "it, the same command begins anew."
            )
        now = owner_of(self.directory)
        raise ClaimLostError(
            f"{self.directory} was taken over by {now or 'somebody'}: this process gave no sign "
            "of life for too long, or the claim was deleted. It stops here; nothing is lost. "
            "Run the command again to continue or to see the result."
        )

    def release(self) -> None:
        """Give the claim back; more than once does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._heart.join()
        if self._is_mine():
            with contextlib.suppress(FileNotFoundError), clear_errors(self._folder):
                os.rename(self._folder / _OWNER, self._folder / _RELEASED)  # noqa: PTH104 - as in files

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _is_mine(self) -> bool:
        return _read_owner(self._folder).token == self.owner.token

    @property
    def _folder(self) -> Path:
        return self.directory / FOLDER / str(self.number)


def owner_of(directory: Path, *, timing: Timing | None = None) -> Owner | None:
    """Who holds the run in ``directory``, and whether he lives; None if nobody does.

    Args:
        directory: The directory of the run.
        timing: When an owner on another machine counts as dead.

    Raises:
        UserError: That is not for this user to see.
    """
    with readable(directory / FOLDER):
        return _look(directory / FOLDER, timing or Timing())[1]


def _look(holder: Path, timing: Timing) -> tuple[int, Owner | None]:
    """The highest number, and its owner unless he has released it."""
    number = _highest(holder)
    folder = holder / str(number)
    if not folder.is_dir() or (folder / _RELEASED).exists():
        return number, None
    seen = _read_owner(folder).seen(partial(_is_silent, folder, timing))
    if not (folder / _OWNER).exists() and (
        (folder / _RELEASED).exists() or _highest(holder) != number
    ):
        return _look(holder, timing)  # released or taken over while we looked
    return number, seen


def _try(holder: Path, number: int, me: Owner, timing: Timing) -> bool:
    """Make the claim of this number; False if another was faster."""
    private = holder / f".{me.token}{PART}"
    write_json(private / _OWNER, me.to_json())
    with clear_errors(holder), contextlib.suppress(FileExistsError, FileNotFoundError):
        _rename_to_new(private, holder / str(number))
        sync_directory(holder)
    # The answer to a rename can be lost on the way from a file server: what is there decides.
    if _read_owner(holder / str(number)).token != me.token:
        shutil.rmtree(private, ignore_errors=True)
        return False
    if _highest(holder) != number:
        _remove(holder / str(number))
        return False
    for name in _numbers(holder):
        if name < number:
            _remove(holder / str(name))
    _clear_private(holder, timing)
    return True


def _rename_to_new(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)  # noqa: PTH104 - tests stop the process at each of these calls
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise FileExistsError(*error.args) from error
        raise


def _remove(folder: Path) -> None:
    """Remove a claim under another name first: a number is whole or not there."""
    gone = part_name(folder)
    with contextlib.suppress(FileNotFoundError):
        os.rename(folder, gone)  # noqa: PTH104 - as above
    shutil.rmtree(gone, ignore_errors=True)


def _clear_private(holder: Path, timing: Timing) -> None:
    """Clear away what contenders left that died before they made their number."""
    for private in holder.glob(f".*{PART}"):
        if _read_owner(private).seen(partial(_is_silent, private, timing)).alive:
            continue
        if private.is_dir():
            shutil.rmtree(private, ignore_errors=True)
        else:
            private.unlink(missing_ok=True)


def _read_owner(folder: Path) -> Owner:
    """Whom the claim in a folder belongs to; a stranger if that cannot be read."""
    try:
        return Owner.from_json(read_json(folder / _OWNER))
    except (FileNotFoundError, NotADirectoryError, DamageError):
        return Owner.from_json(None)


def _is_silent(folder: Path, timing: Timing) -> bool:
    """Whether the heartbeat in a folder stopped long ago, by the clock of its file system."""
    for path in (folder / _OWNER, folder):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return now_of(folder.parent) - path.stat().st_mtime > timing.stale_s
    return True


def _numbers(holder: Path) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(name) for name in os.listdir(holder) if name.isdecimal()]  # noqa: PTH208 - names
    return []


def _highest(holder: Path) -> int:
    return max(_numbers(holder), default=0)


def _beat(path: Path, every_s: float, stop: threading.Event) -> None:
    """Touch the owner's file now and then, until told to stop or until the file is gone."""
    while not stop.wait(every_s):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
        except OSError:
            continue
