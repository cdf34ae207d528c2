"""``sweep``: many runs at once, of a file of Python or of flags that are given several times."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from commands import branch, iterative, lottery, train
from commands.flags import flag_names, leading_words, numbers, parse, spelled
from commands.hparams import CommandFlags, PluginFlags
from commands.parsing import platform_flags
from commands.work import Work, carry_out
from foundations.errors import UserError
from foundations.hparams import Hparams
from platforms.roots import DATA_VARIABLE, RESULTS_VARIABLE
from sweeps.grid import jobs_in, unique
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from platforms.base import Platform

ABOUT = """Carry out many runs: those that are missing, parents first, side by side.

'sweep FILE.py' takes Python with a function runs() that yields descriptions, or pairs of one and
the numbers of its replicates; 'replicates = range(1, 4)' beside it is for all others.

'sweep train --lr=.05 --lr=.1' takes a command (train, branch, lottery, iterative) with its flags: a
hyperparameter that is given several times is a grid over its values (bash: --lr={.05,.1}).

Runs that several entries share exist once. What failed before is left alone unless --retry."""

_WORKS: dict[str, Callable[[Sequence[str]], Work]] = {
    "train": train.work_of,
    "branch": branch.work_of,
    "lottery": lottery.work_of,
    "iterative": iterative.work_of,
}

_RETRY = "--retry"

Flag = tuple[str, ...]
"""A flag as it was written: in one word, or with its value in a second one."""


@dataclass(frozen=True, kw_only=True)
class SweepFlags(Hparams):
    """What a sweep does with runs that failed."""

    retry: bool = False
    """Try those again that failed before."""


def sweep(arguments: Sequence[str]) -> None:
    """Find out which runs are asked for, and carry out what is missing."""
    word = arguments[0] if arguments else ""
    if word in _WORKS:
        retry = _RETRY in map(spelled, arguments)
        rest = [argument for argument in arguments[1:] if spelled(argument) != _RETRY]
        carry_out(_of_grid(word, rest), again=retry)
    elif word and not word.startswith("-"):
        work, retry = _of_file(word, arguments[1:])
        carry_out(work, again=retry)
    else:
        _flags(arguments)
        raise UserError(f"{ABOUT}\n\nName a file or a command. See open_prune.py sweep --help.")


def _flags(arguments: Sequence[str]) -> dict[str, Any]:
    groups: dict[str, type[Hparams]] = {
        "command": CommandFlags,
        "sweep": SweepFlags,
        "options": RunOptions,
        "platform": platform_flags(arguments),
    }
    return parse("open_prune.py sweep FILE.py", ABOUT, groups, arguments)


def _of_file(file: str, arguments: Sequence[str]) -> tuple[Work, bool]:
    """The runs that a file asks for, and whether to retry."""
    flags = _flags(arguments)
    command, retry = flags["command"], flags.pop("sweep").retry
    if command.default_hparams is not None:
        raise UserError("--default_hparams is for commands: in a file, describe() names a preset.")
    flags["platform"] = flags["platform"].for_many()
    with rooted(flags["platform"]):
        jobs = jobs_in(file, _replicates(command))
    return Work(descriptions=(), listed=tuple(jobs), **flags), retry


def _replicates(command: CommandFlags) -> tuple[int, ...] | None:
    """The replicates that the flags name; None where they name none."""
    if command.replicates is not None:
        return numbers(command.replicates)
    return None if command.replicate == CommandFlags.replicate else (command.replicate,)


@contextmanager
def rooted(platform: Platform) -> Iterator[None]:
    """Within it, roots that flags name are those that a file finds without naming any."""
    before = dict(os.environ)
    os.environ[RESULTS_VARIABLE] = str(platform.results_root())
    os.environ[DATA_VARIABLE] = str(platform.datasets_root())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _of_grid(command: str, arguments: Sequence[str]) -> Work:
    """The runs of a command for each combination of the values that its flags are given."""
    works = [_WORKS[command](combination) for combination in combinations(arguments)]
    first = works[0]
    jobs = unique(job for work in works for job in work.jobs)
    return Work((), first.command, first.options, first.platform.for_many(), tuple(jobs))


def combinations(arguments: Sequence[str]) -> list[list[str]]:
    """The command lines of a grid, those of the last flag side by side.

    Raises:
        UserError: A flag is given several times that is no hyperparameter.
    """
    words, flags = _split(arguments)
    choices: dict[str, list[Flag]] = {}
    for flag in flags:
        choices.setdefault(spelled(flag[0]).partition("=")[0], []).append(flag)
    _refuse_several(choices, platform_flags(arguments))
    return [
        [*words, *itertools.chain.from_iterable(chosen)]
        for chosen in itertools.product(*choices.values())
    ]


def _split(arguments: Sequence[str]) -> tuple[list[str], list[Flag]]:
    """The words before the first flag, and the flags, each with its value."""
    words = leading_words(arguments)
    flags: list[Flag] = []
    for argument in arguments[len(words) :]:
        if argument.startswith("--") or not flags:
            flags.append((argument,))
        else:
            flags[-1] = (*flags[-1], argument)
    return words, flags


def _refuse_several(choices: dict[str, list[Flag]], platform: type[Platform]) -> None:
    single = flag_names(CommandFlags) | flag_names(RunOptions) | flag_names(platform)
    for name, given in choices.items():
        if name in single and len(given) > 1:
            raise UserError(
                f"{name} is given {len(given)} times, and is no hyperparameter that a grid can go "
                "over. Give it once."
            )
    # A file of the user's own is for all runs alike.
    for name in flag_names(PluginFlags) & choices.keys():
        choices[name] = [tuple(itertools.chain.from_iterable(choices[name]))]
