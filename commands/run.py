"""``run``: carry out a run whose directory says what it is; what workers and clusters call."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from commands.flags import parse
from commands.progress import Bar, Both, Lines, Silent
from foundations.errors import INTERRUPTED, OpenPruneError, UserError
from foundations.hparams import Hparams, steps_field
from foundations.run_directory import HPARAMS, LOG, RunDirectory
from foundations.steps import Step
from foundations.store import Store
from platforms import PLATFORMS, process, ranks
from platforms.crew import Ended, Outcome, Task
from platforms.stop import graceful_stop
from training.context import Context
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from training.context import Reporter

ABOUT = """Carry out a run that has a directory: 'run NAME/replicate_1', or NAME where there is one
replicate. What is missing of its lineage is run first.

Its hparams.json says what it is, so its name is all that another machine is told. What happens is
told in log.txt beside it, and why it failed in failed.json. The exit code is 0 when it is done, 1
when it failed, 2 when it was refused, and 75 when it was stopped and can be continued."""


@dataclass(frozen=True, kw_only=True)
class RunFlags(Hparams):
    """How far the run is carried out, and for whom."""

    steps: tuple[Step, ...] = steps_field()
    """States that others wait for; saved with those of --weight_save_steps."""

    part: bool = False
    """Train only as far as these states, and not to the end."""

    answers: int | None = None
    """In place of NAME: read tasks from standard input, a JSON object a line, and write how each
    ended to the open file of this number."""


def run(arguments: Sequence[str]) -> None:
    """Parse the flags and carry out the run, or the runs that standard input names."""
    name = arguments[0] if arguments and not arguments[0].startswith("-") else None
    groups: dict[str, type[Hparams]] = {
        "run": RunFlags,
        "options": RunOptions,
        "platform": PLATFORMS["local"],
    }
    flags = parse("open_prune.py run NAME", ABOUT, groups, arguments[name is not None :])
    if (name is None) == (flags["run"].answers is None):
        raise UserError(f"{ABOUT}\n\nName one run. See open_prune.py run --help.")
    process.prepare()
    if name is None:
        try:
            _listen(flags)
        except KeyboardInterrupt:  # whoever stops a worker says so himself
            sys.exit(INTERRUPTED)
    else:
        _run_one(name, flags)


def _run_one(name: str, flags: dict[str, Any]) -> None:
    """Carry out one run; raises why it is not done."""
    from branches.together import together
    from sweeps.errand import carried_out

    asked, platform, options = flags["run"], flags["platform"], flags["options"]
    directory = _directory(platform.results_root(), name)
    options = replace(options, weight_save_steps=(*options.weight_save_steps, *asked.steps))
    with (
        (directory.path / LOG).open("a") as log,
        graceful_stop() as stop,
        together(Context(platform, _reporter(Lines(log)), options, stop)) as context,
    ):
        if context is None:
            return
        error = carried_out(directory, context, whole=not asked.part)
    if error is not None:
        raise error


def _reporter(log: Lines) -> Reporter:
    """The log alone, or a terminal that looks on as well; of several processes, one tells."""
    if ranks.rank() != 0:
        return Silent()
    return Both(log, Bar()) if sys.stdout is not None and sys.stdout.isatty() else log


def _directory(root: Path, name: str) -> RunDirectory:
    """The directory of a run, by its whole name if it is one: nothing else is looked at then."""
    run, _, folder = name.strip("/").partition("/")
    number = folder.removeprefix("replicate_")
    if number.isdecimal() and (root / run / folder / HPARAMS).is_file():
        return RunDirectory(root / run / folder, int(number))
    return Store(root).find(name)


def _listen(flags: dict[str, Any]) -> None:
    """Carry out one run after another, as standard input names them, until it ends."""
    answers = flags["run"].answers
    os.set_inheritable(answers, False)  # noqa: FBT003 - the flag is all there is
    for line in sys.stdin:
        ended = _ended(Task.from_json(json.loads(line)), flags)
        answer = {"run": ended.task.run, "outcome": ended.outcome.value, "reason": ended.reason}
        try:
            os.write(answers, f"{json.dumps(answer)}\n".encode())
        except BrokenPipeError:  # nobody is waiting any more
            return


def _ended(task: Task, flags: dict[str, Any]) -> Ended:
    """How a task ends; what it prints, and what its libraries print, goes to its log."""
    from sweeps.errand import carried_out, outcome_of

    options = replace(flags["options"], weight_save_steps=task.steps)
    try:
        directory = _directory(flags["platform"].results_root(), task.run)
        with _printed_to(directory.path / LOG), graceful_stop() as stop:
            context = Context(flags["platform"], Lines(), options, stop)
            error = carried_out(directory, context, whole=task.whole, patient=False)
        outcome = outcome_of(error)
        reason = directory.failure() if outcome is Outcome.FAILED else None
    except (OpenPruneError, OSError) as refusal:
        return Ended(task, Outcome.FAILED, str(refusal))
    return Ended(task, outcome, reason or str(error or ""))


@contextmanager
def _printed_to(path: Path) -> Iterator[None]:
    """Within it, standard output and error are a file, for C as for Python."""
    before = {number: os.dup(number) for number in (1, 2)}
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        for number in before:
            os.dup2(file, number)
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        for number, old in before.items():
            os.dup2(old, number)
            os.close(old)
        os.close(file)
