"""What every command that runs something does with its description."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from branches import KINDS
from branches.run import Job, complete, is_there, tidy
from commands.flags import numbers
from commands.plan import plan
from commands.progress import reporter
from commands.results import summary
from foundations.description import BranchDesc
from foundations.errors import RunFailedError, UserError
from foundations.run_directory import RunState
from platforms import process
from platforms.stop import graceful_stop
from training.context import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.hparams import CommandFlags
    from foundations.description import Description
    from foundations.run_directory import RunDirectory
    from platforms.base import Platform
    from training.hparams import RunOptions


@dataclass(frozen=True)
class Work:
    """Runs that the flags describe, and what to do with them."""

    descriptions: tuple[Description, ...]
    """The runs, ancestors first."""
    command: CommandFlags
    options: RunOptions
    platform: Platform

    @property
    def jobs(self) -> list[Job]:
        """The runs, once for each replicate; a replicate is finished before the next begins."""
        several = self.command.replicates
        if several is not None and self.command.replicate != 1:
            raise UserError("--replicate and --replicates both say which: leave one out.")
        replicates = (self.command.replicate,) if several is None else numbers(several)
        return [Job(made, replicate) for replicate in replicates for made in self.descriptions]

    @property
    def context(self) -> Context:
        """Where and how, with a reporter that fits the terminal."""
        return Context(self.platform, reporter(quiet=self.command.quiet), self.options)


def carry_out(work: Work) -> None:
    """Run it, or say what would run, and print what came out."""
    context = work.context
    if work.command.display_output_location:
        for job in work.jobs:
            print(context.store.run(job.description, job.replicate).path)  # noqa: T201
        return
    if work.command.dry_run:
        steps = work.options.weight_save_steps
        print(plan(work.jobs, steps, context.store))  # noqa: T201 - the command's output
        return
    process.prepare()
    failures: list[RunFailedError] = []
    with graceful_stop() as stop:
        stoppable = replace(context, stop=stop)
        work.platform.launch(work.jobs, lambda job: _try(job, stoppable, failures))
    print(results(work.jobs, context))  # noqa: T201 - the command's output
    if failures:
        raise RunFailedError("\n".join(map(str, failures)))


def _try(job: Job, context: Context, failures: list[RunFailedError]) -> None:
    """Do a job; where it fails, the other replicates are still to be done."""
    try:
        _do(job, context)
    except RunFailedError as error:
        failures.append(error)


def _do(job: Job, context: Context) -> None:
    directory = context.store.run(job.description, job.replicate)
    steps = context.options.weight_save_steps
    if directory.path.is_dir() and is_there(directory, steps, whole=True):
        directory.prepare(job.description, KINDS)
        tidy(directory)
        context.reporter.say(f"{directory.name} replicate {job.replicate} is done already.")
        if lacking := _not_measured(directory, context.options):
            context.reporter.say(f"  Not measured while it trained: {', '.join(lacking)}.")
    else:
        complete(job, context)


def _not_measured(directory: RunDirectory, options: RunOptions) -> list[str]:
    """What the options ask for that the run, which is done, has not measured in the end."""
    measured = (directory.done() or {"metrics": {}})["metrics"]
    splits = [split for split in options.evaluate_on if split != "validation"]
    names = ("accuracy", *(f"top{k}" for k in options.top_k))
    asked = [f"{split} {name}" for split in splits for name in names]
    return [name for name in asked if name not in measured]


def results(jobs: Sequence[Job], context: Context) -> str:
    """The table of what came out: the runs, and the complete parents they came from."""
    runs = {
        (description.name, job.replicate): context.store.run(description, job.replicate)
        for job in jobs
        for description in _lineage(job.description)
    }
    return summary(run for run in runs.values() if run.state is RunState.DONE)


def _lineage(description: Description) -> list[Description]:
    """A run's ancestors, the oldest first, and the run."""
    line = [description]
    while isinstance(line[0], BranchDesc):
        line.insert(0, line[0].parent)
    return line
