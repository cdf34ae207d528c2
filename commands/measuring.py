"""What ``eval`` measures of a run, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import recipe_in
from branches.claiming import is_there
from branches.run import state_of
from foundations.description import RunRef
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from platforms import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.eval import EvalFlags
    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from training.context import Context
    from training.measures.subject import Subject
    from training.setting import Setting


@dataclass(frozen=True)
class Measuring:
    """One run, what is to be measured of it, and where that happens.

    Args:
        run: Its directory; only states that have to be made again are written there.
        flags: What is measured.
        context: Where, and who is told.
    """

    run: RunDirectory
    flags: EvalFlags
    context: Context

    def measured(self) -> dict[str, Json]:
        """``run``, ``replicate``, ``results`` and whatever else the flags ask for.

        Raises:
            UserError: The run has no such state or split, or not what a measure needs.
        """
        from training import numerics
        from training.provenance import thread_count

        step = self._step
        first = self._at(step)  # what is missing is made under its own arithmetic
        threads = thread_count(self.run, self.context.platform)
        profile = first.setting.recipe.training.numerics
        with numerics.applied(profile, threads):
            found: dict[str, Json] = {
                "run": self.run.name,
                "replicate": self.run.replicate,
                "results": list(self._results(step)),
            }
            for name, (at, value) in self._others(step).items():
                found[name] = {"step": str(at), **value}
        return found

    def _results(self, step: Step) -> Iterator[dict[str, Json]]:
        from training.measures.accuracy import evaluate
        from training.measures.recalibration import recalibrated

        flags = self.flags
        steps = (self._first, step) if flags.at_start else (step,)
        for at in dict.fromkeys(steps):
            subject = self._at(at)
            kinds = {"as trained": subject}
            if flags.recalibrate:
                kinds["recalibrated"] = recalibrated(subject, flags.recalibrate_batches)
            for norms, one in kinds.items():
                splits = evaluate(
                    one, flags.evaluate_on, top_k=flags.top_k, per_class=flags.per_class
                )
                yield {"step": str(at), "batch_norms": norms, "splits": splits}

    def _others(self, step: Step) -> dict[str, tuple[Step, dict[str, Json]]]:
        """By name: at which step, and what."""
        flags, found = self.flags, dict[str, tuple[Step, dict[str, "Json"]]]()
        if flags.gradient_norm:
            from training.measures.gradient import gradient_norm

            at = self._first if flags.state_step is None else step
            found["gradient_norm"] = (at, {**gradient_norm(self._at(at), flags.gradient_batches)})
        if flags.report_dims:
            from training.measures.dimensions import effective_dimensions

            layers = effective_dimensions(self._at(step), examples=flags.dims_examples)
            found["dimensions"] = (step, {"layers": [layer._asdict() for layer in layers]})
        if flags.accounting:
            from pruning.accounting import account

            one = self._at(step)
            shape = one.setting.data.shape
            counted = account(one.setting.network(), shape, one.mask, one.wiring)
            found["accounting"] = (step, {**counted})
        return found | {name: (step, value) for name, value in self._compared(step)}

    def _compared(self, step: Step) -> Iterator[tuple[str, dict[str, Json]]]:
        """What is measured of the dense, the masked and the compacted network."""
        flags = self.flags
        if not (flags.flops or flags.compression or flags.latency or flags.memory):
            return
        from training.measures import resources, sizes
        from training.measures.variants import Variants

        variants = Variants(self._at(step))
        if flags.flops:
            yield "flops", {**sizes.flops(variants, flags.flops_convention)}
        if flags.compression:
            yield "compression", {**sizes.compression(variants)}
        if flags.latency:
            every = (
                cores.usable() if word == "all" else int(word) for word in flags.latency_threads
            )
            counts = flags.latency_warmup, flags.latency_repeats
            effort = resources.Effort(*counts, flags.latency_seconds)
            timed = resources.latency(variants, flags.latency_batches, list(every), effort)
            yield "latency", {"parameters": sizes.parameters(variants), **timed}
        if flags.memory:
            yield "memory", {**resources.memory(variants, flags.memory_batches)}

    @property
    def _step(self) -> Step:
        """The step that the flags name; the last that there is a state of."""
        if self.flags.state_step is not None:
            return self.flags.state_step
        steps = self.run.available()
        if not steps:
            raise UserError(
                f"{self.run.path} has no state yet. --state_step=0ep has its first one made."
            )
        return max(steps, key=lambda step: (step.epoch, step.iteration))

    @cached_property
    def _first(self) -> Step:
        """Where the run begins."""
        start = self.run.fact(Fact.START)
        return Step.at(start["iteration"], start["iterations_per_epoch"])

    @cached_property
    def _setting(self) -> Setting:
        from training.setting import Setting

        recipe = recipe_in(self.run, self.run.description(KINDS))
        return Setting.on(self.context.platform, recipe, self.run.replicate)

    def _at(self, step: Step) -> Subject:
        """The network at a step, which is made again where it was not saved."""
        from training.measures.subject import Subject
        from training.saving import load

        if is_there(self.run, (step,), whole=False):
            per_epoch = self.run.fact(Fact.START)["iterations_per_epoch"]
            iteration = step.iterations(per_epoch)
            state = load(self.run, Step.at(iteration, per_epoch), iteration)
        else:
            ref = RunRef(self.run.description(KINDS), self.run.replicate, step)
            state = state_of(ref, self.run.replicate, self.context)
        return Subject.of(self._setting, state)
