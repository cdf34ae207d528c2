"""What a file of the user's asks for: plain Python with a function that yields descriptions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from branches.run import Job
from foundations.description import Description
from foundations.errors import UserError
from foundations.plugins import told

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUNS, _REPLICATES = "runs", "replicates"


def jobs_in(file: str | Path, replicates: Sequence[int] | None = None) -> list[Job]:
    """The runs that a file asks for, each once, in the order in which it yields them.

    ``runs()`` yields descriptions, or pairs of a description and the numbers of its replicates.
    Those without numbers have those of ``replicates`` in the file, by default 1.

    Args:
        file: The file.
        replicates: In place of those in the file.

    Raises:
        UserError: It cannot be read, fails (says in which line), or yields something else.
    """
    path = Path(file).expanduser().resolve()
    with _blamed(path):
        names = _executed(path)
        runs = names.get(_RUNS)
        if not callable(runs):
            raise UserError(f"{path} has no function runs(), which is to yield descriptions.")
        values = _yielded(runs(), path)
        given = names.get(_REPLICATES, (1,)) if replicates is None else replicates
        default = _numbers(given, f"{path}: {_REPLICATES}")
    if not values:
        raise UserError(f"{path}: runs() yields nothing: there is nothing to do.")
    jobs = (
        job
        for place, value in enumerate(values, 1)
        for job in _jobs(value, default, f"{path}: value {place} of runs()")
    )
    return unique(jobs)


def _yielded(values: object, path: Path) -> list[object]:
    """What a function yields, all of it.

    Raises:
        UserError: It yields nothing of the kind.
    """
    if isinstance(values, Iterable):
        return list(values)
    raise UserError(
        f"{path}: runs() gives back {values!r:.60}: it is to yield descriptions, with 'yield'."
    )


def unique(jobs: Iterable[Job]) -> list[Job]:
    """Jobs, each run once, in order."""
    return list({(job.description.name, job.replicate): job for job in jobs}.values())


def _jobs(value: object, default: tuple[int, ...], where: str) -> list[Job]:
    """The runs that one value means."""
    match value:
        case Description():
            return [Job(value, replicate) for replicate in default]
        case (Description() as description, numbers) if not isinstance(numbers, Description):
            return [Job(description, number) for number in _numbers(numbers, where)]
    several = isinstance(value, list | tuple) and any(isinstance(v, Description) for v in value)
    hint = " Write 'yield from' for several." if several else ""
    raise UserError(
        f"{where} is of type {type(value).__name__}, no description, nor a pair of a description "
        f"and the numbers of its replicates.{hint}"
    )


def _numbers(given: object, where: str) -> tuple[int, ...]:
    """The numbers of replicates: of one, or of several.

    Raises:
        UserError: They are none.
    """
    found = tuple(given) if isinstance(given, Iterable) else (given,)
    wrong = [n for n in found if isinstance(n, bool) or not isinstance(n, int) or n < 0]
    if wrong or not found:
        shown = repr(wrong[0]) if wrong else "nothing"
        raise UserError(f"{where}: replicates are whole numbers from 0 on, not {shown}.")
    return tuple(dict.fromkeys(found))


def _executed(path: Path) -> dict[str, Any]:
    """The names of the file after it was run; it finds modules that lie beside it."""
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(source, str(path), "exec"), names)  # noqa: S102 - what it is for
    return names


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    """Within it, an error of the file is the user's, with the line at which it arose."""
    sys.path.insert(0, str(path.parent))
    try:
        yield
    except (Exception, SystemExit) as error:
        where = told(error, [path])
        if where is None:
            raise
        raise UserError(f"{path} fails.\n{where}") from error
    finally:
        sys.path.remove(str(path.parent))
