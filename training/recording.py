"""The way of a run through its training: what is measured, saved and checkpointed, and when.

A checkpoint holds all that resuming needs: weights, the optimizer, the losses of the epoch under
way, and the metrics and digests so far. So a run that was stopped anywhere continues to the same
bytes as one that was not, and to the same metrics where the options are the same.
"""

from __future__ import annotations

import time
from itertools import takewhile
from typing import TYPE_CHECKING, NoReturn

from foundations.errors import InterruptedRunError
from foundations.steps import Step
from foundations.tables import (
    Digest,
    Metric,
    metric_from_json,
    metric_to_json,
    number_to_json,
)
from foundations.tensors import TensorFile, digest
from training.engine import Engine
from training.evaluation import Evaluation
from training.following import measured_on
from training.saving import from_tensors, save, to_tensors

if TYPE_CHECKING:
    from collections.abc import Collection

    from foundations.claims import Claim
    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from training.context import Context
    from training.provenance import Session
    from training.setting import Setting
    from training.start import Start

_CHECKPOINT_S = 10.0
"""Seconds after which the end of an epoch is worth a checkpoint, where none was asked for."""

_MASK = "mask"
"""The phase of what is told of a mask that changes."""

_FLUSH_S = 2.0
"""Seconds between two writings of the metrics."""


class Recording:
    """Trains one run in its directory, up to the iteration that is asked for.

    Args:
        directory: The run's.
        claim: The right to write there; checked before everything that others read.
        setting: Its recipe, data and device.
        context: Options, reporter, and whether to stop.
        session: The record of this process's work on it.
        start: What the run began from.
        saves: The iterations whose states are kept, besides the first and the last.
    """

    def __init__(
        self,
        directory: RunDirectory,
        claim: Claim,
        setting: Setting,
        context: Context,
        session: Session,
        start: Start,
        saves: Collection[int],
    ) -> None:
        self.directory, self.claim, self.setting, self.context = directory, claim, setting, context
        self.session = session
        self.start, self._measured = start.state, start.measured
        self.saves = {self.start.iteration, setting.end, *saves}
        self.metrics: list[Metric] = []
        self.digests: list[Digest] = []
        self.engine = self._resumed()
        self._begun = self.engine.iteration
        self._evaluation: Evaluation | None = None
        self._flushed = self._checkpointed = time.monotonic()

    def train(self, until: int) -> None:
        """Go on to iteration ``until``, and leave the run so that it continues from there.

        Raises:
            InterruptedRunError: It was asked to stop, and a checkpoint is saved.
            RunFailedError: Loss or weights are not finite; the last good checkpoint is kept.
        """
        engine, reporter = self.engine, self.context.reporter
        title = f"{self.directory.name} replicate {self.setting.replicate}"
        if until < self.setting.end:
            title += (
                f": as far as {Step.at(until, engine.iterations_per_epoch)}, which is asked for"
            )
        examples = len(self.setting.data.train.labels)
        reporter.begin(title, engine.iteration, until, engine.iterations_per_epoch, examples)
        self.session.write(0)  # before the first bytes that depend on its fingerprint
        try:
            self._arrive()
            while engine.iteration < until:
                engine.advance(min(until, self._next_halt()), self.context.watch)
                if engine.asked_elsewhere:
                    self.context.heed_others()
                self._arrive()
                if self.context.stop.requested is not None and engine.iteration < self.setting.end:
                    self._stop()
            if until < self.setting.end:
                self._checkpoint()
            self._flush()
        except _StopAskedError:
            self._stop()
        finally:
            reporter.end()

    def end_metrics(self) -> dict[str, Json]:
        """What was measured in the end: ``{"test accuracy": ...}``."""
        rows = [row for row in self.metrics if row.iteration == self.setting.end]
        return {f"{row.phase} {row.name}": number_to_json(row.value) for row in rows}

    def _resumed(self) -> Engine:
        """The engine at the newest checkpoint, or at the start where there is none."""
        checkpoint = self.directory.latest_checkpoint(self.context.reporter.say)
        state, losses = self.start, None
        if checkpoint is not None:
            iteration = checkpoint.step.iterations(self.setting.iterations_per_epoch)
            file = TensorFile(checkpoint.tensors, checkpoint.facts["mask"])
            state, losses = from_tensors(file, iteration)
            self.metrics = [metric_from_json(row) for row in checkpoint.facts["metrics"]]
            self.digests = [Digest(*row) for row in checkpoint.facts["digests"]]
        engine = Engine.on(self.setting, state)
        if losses is not None:
            engine.losses.copy_(losses)
        return engine

    def _next_halt(self) -> int:
        """The next iteration at which something is to be done."""
        now, per_epoch = self.engine.iteration, self.engine.iterations_per_epoch
        # Others may wait for states of this run: they need not wait for its end.
        self.saves |= {step.iterations(per_epoch) for step in self.directory.asked_for()}
        halts = [(now // per_epoch + 1) * per_epoch, *(at for at in self.saves if at > now)]
        if every := self._checkpoint_interval():
            halts.append((now // every + 1) * every)
        return min(halts)

    def _arrive(self) -> None:
        """Do what is due at the iteration that was reached."""
        engine = self.engine
        at = engine.iteration
        epoch_ends = at % engine.iterations_per_epoch == 0
        if at > self.start.iteration and (epoch_ends or at in self.saves):
            engine.check_finite()
        self._note_change()
        if epoch_ends or at in (self.start.iteration, self.setting.end):
            self._note()
        if at in self.saves:
            self._save()
        if self._checkpoint_is_due(epoch_ends=epoch_ends):
            self._checkpoint()

    def _note(self) -> None:
        """Add the digest and the measures of this iteration to the record, once."""
        at = self.engine.iteration
        if self.digests and self.digests[-1].iteration >= at:
            return
        epoch = at // self.engine.iterations_per_epoch
        measures = [*self._training_loss(), *self._evaluated()]
        if at == self.start.iteration:
            measures += self._measured
        self.digests.append(Digest(at, epoch, digest(self.engine.weights())))
        self.metrics += [Metric(at, epoch, *measure) for measure in measures]
        if at > self.start.iteration:
            shown = {f"{phase} {name}": value for phase, name, value in measures}
            self.context.reporter.epoch(at, shown)
        if time.monotonic() - self._flushed > _FLUSH_S:
            self._flush()

    def _note_change(self) -> None:
        """Add how much is left behind a change of the mask to the record, once."""
        course, at, mask = self.setting.course, self.engine.iteration, self.engine.mask
        if course is None or mask is None or at not in course.changes:
            return
        latest = takewhile(lambda row: row.iteration == at, reversed(self.metrics))
        if not any(row.phase == _MASK for row in latest):
            epoch = at // self.engine.iterations_per_epoch
            self.metrics.append(Metric(at, epoch, _MASK, "kept", float(course.kept(mask))))

    def _training_loss(self) -> list[tuple[str, str, float]]:
        """The mean loss of the epoch that ended, where all of it was trained on."""
        engine = self.engine
        whole = engine.iteration - self.start.iteration >= engine.iterations_per_epoch
        if engine.iteration % engine.iterations_per_epoch or not whole:
            return []
        return [("train", "loss", engine.epoch_loss())]

    def _evaluated(self) -> list[tuple[str, str, float]]:
        """Phase, name and value of what is measured on each split that is asked for."""
        options = self.context.options
        if options.evaluate_only_at_end and self.engine.iteration != self.setting.end:
            return []
        if self._evaluation is None:
            network = self.setting.network(self.engine.mask)
            self._evaluation = Evaluation(network, self.setting.recipe.training)
        measures = []
        for split in options.evaluate_on:
            found = measured_on(
                split, self.engine, self._evaluation, options.top_k, self.setting, self.context.stop
            )
            if found is not None:
                measured, whole = found
                if not whole:
                    self.context.heed_others()
                    raise _StopAskedError
                measures += [(split, name, value) for name, value in measured.values.items()]
        return measures

    def _save(self) -> None:
        state = self.engine.state()
        self.claim.check()
        # Where it is there already this changes nothing, unless it was saved under another
        # fingerprint and after the last checkpoint: then it is not this run's any more.
        save(self.directory, state, Step.at(state.iteration, self.engine.iterations_per_epoch))

    def _checkpoint(self) -> None:
        """Save what resuming needs, unless the weights are no longer worth it."""
        engine = self.engine
        if engine.iteration > self.start.iteration:
            engine.check_finite()
        self.claim.check()
        step = Step.at(engine.iteration, engine.iterations_per_epoch)
        file = to_tensors(engine.state(), engine.losses)
        facts = {
            "metrics": [metric_to_json(row) for row in self.metrics],
            "digests": [list(row) for row in self.digests],
            "mask": dict(file.metadata),
        }
        self.directory.save_checkpoint(step, file.tensors, facts)
        self._checkpointed = time.monotonic()
        self._flush()

    def _checkpoint_is_due(self, *, epoch_ends: bool) -> bool:
        at = self.engine.iteration
        if at in (self.start.iteration, self.setting.end):
            return False
        if every := self._checkpoint_interval():
            return at % every == 0
        return epoch_ends and time.monotonic() - self._checkpointed > _CHECKPOINT_S

    def _checkpoint_interval(self) -> int:
        """The iterations between checkpoints that were asked for; 0 where none were."""
        every = self.context.options.checkpoint_every
        return every.iterations(self.engine.iterations_per_epoch) if every else 0

    def _flush(self) -> None:
        self.claim.check()  # who has lost it must not write older rows over newer ones
        self.directory.write_metrics(self.metrics)
        self.directory.write_digests(self.digests)
        self.session.write(self.engine.iteration - self._begun)
        self._flushed = time.monotonic()

    def _stop(self) -> NoReturn:
        """Save a checkpoint and say how to go on."""
        self._checkpoint()
        self.session.write(self.engine.iteration - self._begun, stopped=True)
        step = Step.at(self.engine.iteration, self.engine.iterations_per_epoch)
        raise InterruptedRunError(
            f"Stopped by {self.context.stop.requested}; {self.directory.name} is saved at {step}. "
            "Run the same command again to continue."
        )


class _StopAskedError(Exception):
    """It was asked to stop in the middle of an evaluation, which is then made again."""
