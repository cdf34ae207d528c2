"""What every command that runs something does with its description."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import lineage
from branches.claiming import is_there, tidy
from branches.run import Job, complete
from branches.together import together
from commands.crewed import by_crew, flags_of, raise_for
from commands.flags import numbers
from commands.plan import plan
from commands.progress import reporter
from commands.results import summary
from foundations.errors import RunFailedError, UserError
from foundations.run_directory import RunState
from platforms import process
from platforms.stop import graceful_stop
from sweeps.errand import with_its_steps
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
    listed: tuple[Job, ...] = ()
    """The runs with their replicates, where these are not the same for all."""

    @property
    def jobs(self) -> list[Job]:
        """The runs, once for each replicate; a replicate is finished before the next begins."""
        if self.listed:
            return list(self.listed)
        several = self.command.replicates
        if several is not None and self.command.replicate != 1:
            raise UserError("--replicate and --replicates both say which: leave one out.")
        replicates = (self.command.replicate,) if several is None else numbers(several)
        return [Job(made, replicate) for replicate in replicates for made in self.descriptions]

    @property
    def context(self) -> Context:
        """Where and how, with a reporter that fits the terminal."""
        return Context(self.platform, reporter(quiet=self.command.quiet), self.options)


def carry_out(work: Work, *, again: bool = True, summarize: bool = True) -> None:
    """Run it, or say what would run, and print what came out.

    Args:
        work: The runs.
        again: Try those again that failed before, where a crew carries them out.
        summarize: Whether to print what came out, a line a run.
    """
    context = work.context
    if work.command.display_output_location:
        for job in work.jobs:
            print(context.store.run(job.description, job.replicate).path)  # noqa: T201
        return
    if work.command.dry_run:
        steps = work.options.weight_save_steps
        workers = work.platform.side_by_side
        said = plan(work.jobs, steps, context.store, retry=again, workers=workers)
        print(said)  # noqa: T201 - the command's output
        return
    crew = work.platform.crew(flags_of(work.options))
    if crew is None:
        _carry_out_here(work, context, summarize=summarize)
    else:
        standing = by_crew(work.jobs, crew, context, again=again)
        if summarize:
            print(results(work.jobs, context))  # noqa: T201 - the command's output
        raise_for(standing, context.store)


def _carry_out_here(work: Work, context: Context, *, summarize: bool) -> None:
    """Run it in this process, one run after another."""
    process.prepare()
    failures: dict[Job, RunFailedError] = {}
    with graceful_stop() as stop, together(replace(context, stop=stop)) as stoppable:
        if stoppable is None:
            return

        def carry_out_one(job: Job) -> None:
            own = with_its_steps(job, stoppable) if len(work.descriptions) != 1 else stoppable
            _try(job, own, failures)

        work.platform.launch(work.jobs, carry_out_one)
    if summarize:
        print(results(work.jobs, context))  # noqa: T201 - the command's output
    if failures:
        raise RunFailedError("\n".join(map(str, failures.values())))


def _try(job: Job, context: Context, failures: dict[Job, RunFailedError]) -> None:
    """Do a job; where it fails, what does not descend from it is still to be done."""
    if any(Job(ancestor, job.replicate) in failures for ancestor in lineage(job.description)):
        return
    try:
        _do(job, context)
    except RunFailedError as error:
        failures[job] = error


def _do(job: Job, context: Context) -> None:
    directory = context.store.run(job.description, job.replicate)
    steps = context.options.weight_save_steps
    if directory.path.is_dir() and is_there(directory, steps, whole=True):
        directory.prepare(job.description, KINDS)
        tidy(directory)
        context.reporter.say(f"{directory.name} replicate {job.replicate} is done already.")
        if lacking := _not_measured(directory, context.options):
            context.reporter.say(
                f"  Not measured while it trained: {', '.join(lacking)}. "
                f"'open_prune.py eval {directory.name}' can measure it."
            )
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
        for description in lineage(job.description)
    }
    return summary(run for run in runs.values() if run.state is RunState.DONE)
