"""Carry out a description: run what is missing of its lineage, and the run itself.

A run asks its parents for states, not for their end: a parent trains as far as the last state that
is needed and waits there, unfinished, until somebody asks for more.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import (
    begins,
    branch_of,
    check_length,
    recipe_in,
    recipe_of,
    start_decides_training,
)
from branches.claiming import claimed, is_there, tidy
from branches.launched import are_here, by_others
from branches.openlth import of_openlth, refuse_to_train
from branches.together import in_training, led
from foundations.description import BranchDesc, Description, RunRef
from foundations.errors import DamageError, RunFailedError, UserError
from foundations.plugins import blame
from foundations.run_directory import Fact, RunState
from foundations.steps import Step
from platforms import threads
from pruning.alarms import alarms
from training.imported import ImportDesc
from training.sinks import followed, require
from training.world import world_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foundations.claims import Claim
    from foundations.run_directory import RunDirectory
    from training.context import Context
    from training.description import TrainDesc
    from training.provenance import Session
    from training.start import Start
    from training.state import State


@dataclass(frozen=True)
class Job:
    """A run to be done: a description and which of its repetitions."""

    description: Description
    replicate: int = 1


def complete(job: Job, context: Context, *, whole: bool = True) -> RunDirectory:
    """Train a run to its end, unless that is done.

    Args:
        job: The run.
        context: Where and how; the options say which states are asked for.
        whole: False trains only as far as these states.

    Returns:
        Its directory, complete, with every state that the options ask for.

    Raises:
        UserError: The description cannot be carried out as it stands; or a sink is not installed.
        RunFailedError: Its loss or weights are not finite.
        InterruptedRunError: It was asked to stop; the same call continues.
    """
    require(context.options.sinks)
    return _ensure(job, context, context.options.weight_save_steps, whole=whole)


def state_of(ref: RunRef, replicate: int, context: Context) -> State:
    """A saved state of a run; whatever is missing for it is run first.

    Args:
        ref: The run and the step; without a step, the end of its training.
        replicate: Which repetition, where ``ref`` leaves it open.
        context: Where and how.
    """
    from training.saving import load

    job, step = _state(ref, replicate, context)
    directory = _ensure(job, context, (step,), whole=False)
    per_epoch = directory.fact(Fact.START)["iterations_per_epoch"]
    iteration = step.iterations(per_epoch)
    return load(directory, Step.at(iteration, per_epoch), iteration)


def _state(ref: RunRef, replicate: int, context: Context) -> tuple[Job, Step]:
    """The job and the step that are referred to, what is left open filled in."""
    job = Job(ref.description, replicate if ref.replicate is None else ref.replicate)
    return job, _recipe(job, context).training.training_steps if ref.step is None else ref.step


def _recipe(job: Job, context: Context) -> TrainDesc:
    """How a job trains; where only its start can say it, that is made first."""
    description = job.description
    if not start_decides_training(description):
        return recipe_of(description)
    directory = _ensure(job, context, (begins(description),), whole=False)
    return recipe_in(directory, description)


def _ensure(job: Job, context: Context, steps: Sequence[Step], *, whole: bool) -> RunDirectory:
    """Have a run's states at ``steps``, and with ``whole`` its end too."""
    check_length(job.description)
    directory = context.store.run(job.description, job.replicate)
    context.platform.writable_root()
    was_there = directory.path.exists()
    directory.prepare(job.description, KINDS)
    try:
        return _had(job, directory, context, steps, whole=whole)
    except Exception as error:
        if not was_there and (isinstance(error, UserError | DamageError) or blame(error)):
            directory.remove_if_not_begun()  # what is refused leaves nothing behind
        raise


def _had(
    job: Job, directory: RunDirectory, context: Context, steps: Sequence[Step], *, whole: bool
) -> RunDirectory:
    if is_there(directory, steps, whole=whole):
        tidy(directory)
        return directory
    if of_openlth(job.description) is not None:
        refuse_to_train(job.description, job.replicate, directory.states())
    states = _states_asked_for(job, directory, context)
    companions = _companions(job, context)
    processes = world_of(recipe_in(directory, job.description).training.numerics)
    if not are_here(processes, directory, context):
        by_others(processes, directory, context, steps, whole=whole)
        return directory
    claim = claimed(directory, context, steps, whole=whole)
    if claim is not None:
        with claim, threads.announce():
            directory.prepare(job.description, KINDS)  # if it was cleaned away before the claim
            work = _Work(job, directory, claim, context, companions)
            work.carry_on(states, steps, whole=whole)
    return directory


def _states_asked_for(job: Job, directory: RunDirectory, context: Context) -> list[State]:
    """What the branch begins from; nothing where the start is written already."""
    description = job.description
    if not isinstance(description, BranchDesc) or directory.fact(Fact.START) is not None:
        return []
    return _states(branch_of(description).asks(description.parent), job.replicate, context)


def _companions(job: Job, context: Context) -> list[State]:
    """The states of other runs that every session of training needs."""
    description = job.description
    if not isinstance(description, BranchDesc):
        return []
    return _states(branch_of(description).companions(description.parent), job.replicate, context)


def _states(refs: Sequence[RunRef], replicate: int, context: Context) -> list[State]:
    wanted: dict[Job, list[Step]] = {}
    for parent, step in (_state(ref, replicate, context) for ref in refs):
        _check_end(parent, step, context)
        wanted.setdefault(parent, []).append(step)
    for parent, steps in wanted.items():  # together: the later state may be asked for first
        _ensure(parent, context, steps, whole=False)
    return [state_of(ref, replicate, context) for ref in refs]


def _check_end(job: Job, step: Step, context: Context) -> None:
    """Refuse a step past the end of a run, before anything is trained for other states."""
    from training.setting import Setting

    setting = Setting.on(context.platform, _recipe(job, context), job.replicate)
    per_epoch = setting.iterations_per_epoch
    if step.iterations(per_epoch) > setting.end:
        raise UserError(
            f"{job.description.name} has no state at {step}: it ends at "
            f"{Step.at(setting.end, per_epoch)} ({per_epoch} iterations an epoch)."
        )


class _Work:
    """One worker's work on one run that it has claimed."""

    def __init__(
        self,
        job: Job,
        directory: RunDirectory,
        claim: Claim,
        context: Context,
        companions: Sequence[State],
    ) -> None:
        from training.setting import Setting

        self.job, self.directory, self.claim, self.context = job, directory, claim, context
        self.companions = companions
        recipe = recipe_in(directory, job.description)
        self.setting = Setting.on(context.platform, recipe, job.replicate)

    def carry_on(self, states: Sequence[State], steps: Sequence[Step], *, whole: bool) -> None:
        """Start or continue the run, as far as is asked for."""
        from training import numerics
        from training.provenance import Session, damage, thread_count

        if (error := damage(self.directory)) is not None:
            self.context.reporter.say(error)
        threads = thread_count(self.directory, self.context.platform)
        profile = self.setting.recipe.training.numerics
        session = Session.begin(self.directory, self.setting.device, threads, profile)
        if session.is_new_ground:
            self.context.reporter.say(
                f"{self.directory.name} was begun on another machine, version or number of "
                "threads: it continues, but its last digits may be others."
            )
        with numerics.applied(profile, threads), self._failures():
            if not start_decides_training(self.job.description):
                self._check_steps(steps)
            start = self._start(states)
            group, needed = self.context.group, (start.state, *self.companions)
            with led(group, self.job.description, self.setting, needed, threads):
                setting = in_training(self.job.description, *needed, setting=self.setting)
                self.setting = replace(setting, group=group)
                wanted = self._iterations(steps, start.state.iteration)
                if self.directory.state is not RunState.DONE:
                    self._train(start, wanted, session, whole=whole)
                self._replay(start, wanted, session)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Within it, a run that cannot go on is recorded as failed."""
        try:
            yield
        except RunFailedError as error:
            self.claim.check()
            self.directory.write_fact(Fact.FAILED, {"reason": str(error)})
            raise RunFailedError(
                f"{self.directory.name} replicate {self.job.replicate} failed. {error} What it had "
                f"before is kept in {self.directory.path}."
            ) from error

    def _start(self, states: Sequence[State]) -> Start:
        """What training begins from: written once, read ever after."""
        from training.start import read_start, start_of, write_start

        description = self.job.description
        if self.directory.fact(Fact.START) is None:
            if isinstance(description, BranchDesc):
                branch = branch_of(description)
                branch.check_fit(states, self.setting)
                start = branch.start(description.parent, states, self.setting)
            else:
                start = start_of(description, self.setting)
            if start.training is not None:
                recipe = replace(self.setting.recipe, training=start.training)
                self.setting = replace(self.setting, recipe=recipe)
            self._check_begin(start.state.iteration)
            self.claim.check()
            write_start(self.directory, start, self.setting)
            self._warn()
            if "stops" in start.facts:
                self.context.reporter.warn(str(start.facts["stops"]))
        return read_start(self.directory, self.setting)

    def _warn(self) -> None:
        """Tell of layers that the mask cuts to nothing."""
        for alarm in alarms(self.directory.fact(Fact.SPARSITY)):
            self.context.reporter.warn(alarm)

    def _check_begin(self, iteration: int) -> None:
        """Refuse to begin past the end: such a run could never be complete."""
        if iteration > self.setting.end:
            per_epoch = self.setting.iterations_per_epoch
            raise UserError(
                f"{self.directory.name} cannot begin at {Step.at(iteration, per_epoch)}: its "
                f"training ends at {Step.at(self.setting.end, per_epoch)} ({per_epoch} iterations "
                "an epoch)."
            )

    def _train(self, start: Start, wanted: list[int], session: Session, *, whole: bool) -> None:
        from training.recording import Recording
        from training.start import write_sparsity

        until = self.setting.end if whole else max(wanted, default=start.state.iteration)
        recording = Recording(
            self.directory, self.claim, self.setting, self.context, session, start, wanted
        )
        if recording.engine.iteration > until:
            return  # the states that are missing lie behind: they are replayed
        self.claim.check()
        self.directory.remove_fact(Fact.FAILED)
        with followed(self.directory, self.context.options.sinks, self.context.reporter.warn):
            recording.train(until)
        if recording.engine.iteration == self.setting.end:
            if self.setting.course is not None:
                self.claim.check()
                write_sparsity(self.directory, recording.engine.mask, self.setting)
                self._warn()
            self.directory.seal(self.claim, recording.end_metrics())

    def _replay(self, start: Start, wanted: list[int], session: Session) -> None:
        from training.replaying import replay

        per_epoch = self.setting.iterations_per_epoch
        saved = {step.iterations(per_epoch) for step in self.directory.available()}
        if missing := [at for at in wanted if at not in saved]:
            replay(
                self.directory,
                self.setting,
                self.context,
                self.claim,
                start.state,
                missing,
                session.fingerprint,
            )

    def _iterations(self, steps: Sequence[Step], begin: int) -> list[int]:
        """The steps as iterations.

        Raises:
            UserError: One lies before the start of the run.
        """
        self._check_steps(steps, begin)
        return sorted({step.iterations(self.setting.iterations_per_epoch) for step in steps})

    def _check_steps(self, steps: Sequence[Step], begin: int = 0) -> None:
        per_epoch, end = self.setting.iterations_per_epoch, self.setting.end
        for step in steps:
            if not begin <= step.iterations(per_epoch) <= end:
                raise UserError(
                    f"{self.directory.name} has no state at {step}: it goes from "
                    f"{Step.at(begin, per_epoch)} to {Step.at(end, per_epoch)} "
                    f"({per_epoch} iterations an epoch).{_hint(self.job.description)}"
                )


def _hint(description: Description) -> str:
    """What to do where a run has no state because it was imported at a later step."""
    if not isinstance(description, ImportDesc):
        return ""
    return (
        f" It was imported at {description.step}: name that step, such as by --prune_step and "
        "--state_step, or by --rewinding_steps or --rewind=learning_rate."
    )
