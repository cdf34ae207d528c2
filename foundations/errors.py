"""What can go wrong, and what the command line makes of it."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

USER_ERROR = 2
FAILURE = 1
INTERRUPTED = 75
"""Exit code of a run that was asked to stop and can be continued (EX_TEMPFAIL: run it again)."""


class OpenPruneError(Exception):
    """An error with a message for the user; the command line prints it without a traceback."""

    exit_code = FAILURE


class UserError(OpenPruneError):
    """A mistake in what was asked for: a bad value, an unknown name, a missing file."""

    exit_code = USER_ERROR


class DamageError(OpenPruneError):
    """A stored file is not what was written: truncated, edited or foreign."""


class RunFailedError(OpenPruneError):
    """A run cannot go on, for instance because its loss is not finite."""


class InterruptedRunError(OpenPruneError):
    """A run was asked to stop; its checkpoint is saved and it can be continued."""

    exit_code = INTERRUPTED


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a ``name`` that is none of the ``known`` ones, with the nearest suggested."""
    known = sorted(known)
    spelled = {option.lower(): option for option in reversed(known)}
    near = get_close_matches(name.lower(), spelled, n=1, cutoff=0.5)
    hint = f" Did you mean {spelled[near[0]]!r}?" if near else ""
    return UserError(f"There is no {what} {name!r}.{hint} Known: {', '.join(known) or 'none'}.")


def check_known(what: str, name: str, known: Collection[str]) -> None:
    """Refuse a ``name`` that is none of the ``known`` ones.

    Raises:
        UserError: Names them, and suggests the nearest.
    """
    if name not in known:
        raise unknown(what, name, known)
