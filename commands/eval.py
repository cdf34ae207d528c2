"""``eval RUN``: measure a run, at any step, after training; nothing is written into it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.cuts import with_cuts
from commands.evaluated import told
from commands.flags import leading_words, parse
from commands.measuring import Measuring
from commands.parsing import platform_flags, store_of
from commands.progress import reporter
from foundations.errors import UserError, check_known
from foundations.hparams import Hparams, optional_step_field
from foundations.steps import Step
from foundations.tables import number_to_json
from platforms import process
from platforms.stop import graceful_stop
from pruning.conventions import CONVENTIONS
from training.context import Context
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from platforms.base import Platform


@dataclass(frozen=True, kw_only=True)
class EvalFlags(Hparams):
    """What is measured, and of which state."""

    replicate: int | None = None
    """Which repetition, where there are several."""

    state_step: Step | None = optional_step_field()
    """Which state: 0ep, 100it, prunes:3; by default the last that is there. One that was not saved
    is made again first, and a run that is not so far is trained up to it."""

    evaluate_on: tuple[str, ...] = ("test",)
    """What to evaluate on: any of test, validation (where there is one), train (not augmented)."""

    top_k: tuple[int, ...] = ()
    """Also the top-k accuracy, for each of these k: 3,5."""

    per_class: bool = False
    """Also the accuracy of each class."""

    at_start: bool = False
    """Also of the first state of the run: right after pruning, before training on."""

    recalibrate: bool = False
    """Also after the statistics of the batch norms were recomputed on training data."""

    recalibrate_batches: int | None = None
    """On how many batches to recompute them; by default on all."""

    gradient_norm: bool = False
    """Also the norm of the gradient of the training loss, at the start unless state_step is given:
    of all that is trained and kept."""

    gradient_batches: int | None = None
    """On how many batches of training data to take it; by default on all."""

    report_dims: bool = False
    """Also the effective dimensionality of the activations of each layer, on the test data."""

    dims_examples: int | None = None
    """On how many examples, drawn by the run's seed, to take it; by default on all."""

    accounting: bool = False
    """Also what is left of each layer: weights, kernels, channels, multiply-accumulates, bytes."""

    flops: bool = False
    """Also parameters and operations for one image: dense, under the mask, and compacted."""

    flops_convention: tuple[str, ...] = ("macs",)
    """How operations are counted: macs (multiply-accumulates of kept weights, and nothing else), or
    as published code does: ptflops (Lubana and Dick 2021), rethinking (Liu et al. 2019),
    measure_model (Crowley et al. 2018). Several may be given."""

    compression: bool = False
    """Also the bytes that storing takes: dense, masked and packed (kept values and one bit for each
    entry), and compacted; and how many times smaller the last two are. Published code has the bytes
    of the dense network's file divided by those of the given file: the last of these ratios, but
    for the files' headers."""

    latency: bool = False
    """Also the time of a forward pass on images of the test split: dense, masked and compacted take
    turns; medians and quartiles."""

    latency_batches: tuple[int, ...] = (1, 128)
    """With how many images at once to time it."""

    latency_threads: tuple[str, ...] = ("1", "all")
    """With how many threads to time it; all is as many as there are cores. A GPU is timed once."""

    latency_warmup: int = 3
    """Rounds that are not counted, for each batch size and number of threads."""

    latency_repeats: int = 30
    """Rounds that are counted, at most; in each, every network has a turn."""

    latency_seconds: float = 20.0
    """No further round is begun after so long, for each batch size and number of threads, but
    there are at least three."""

    memory: bool = False
    """Also the peak memory of a forward pass: what the GPU's allocator gives out, elsewhere the
    tensors that are alive at once."""

    memory_batches: tuple[int, ...] = (1, 128)
    """With how many images at once to measure that."""

    json: bool = False
    """Print JSON, and nothing else."""

    quiet: bool = False
    """Show no progress."""

    def check(self) -> None:
        """Refuse unknown names, numbers below 1, and flags that another one lacks."""
        RunOptions(evaluate_on=self.evaluate_on, top_k=self.top_k)
        for count, switch in (
            ("recalibrate_batches", "recalibrate"),
            ("gradient_batches", "gradient_norm"),
            ("dims_examples", "report_dims"),
        ):
            given = getattr(self, count)
            self.require(given is None or given >= 1, count, "it must be at least 1")
            self.require(given is None or getattr(self, switch), count, f"it needs --{switch}")
        for convention in self.flops_convention:
            check_known(CONVENTIONS.what, convention, CONVENTIONS)
        self._check_resources()

    def _check_resources(self) -> None:
        for name in ("flops_convention", "latency_batches", "latency_threads", "memory_batches"):
            self.require(bool(getattr(self, name)), name, "there must be at least one")
        for name in ("latency_batches", "memory_batches"):
            self.require(min(getattr(self, name)) >= 1, name, "each must be at least 1")
        known = all(_is_count(word) for word in self.latency_threads)
        self.require(known, "latency_threads", "each is a number of at least 1, or all")
        self.require(self.latency_warmup >= 0, "latency_warmup", "it must be at least 0")
        self.require(self.latency_repeats >= 3, "latency_repeats", "it must be at least 3")
        self.require(self.latency_seconds > 0, "latency_seconds", "it must be more than 0")
        for field in dataclasses.fields(self):
            switch = field.name.partition("_")[0]
            needs = switch in {"flops", "latency", "memory"} and field.name != switch
            given = needs and getattr(self, field.name) != field.default
            self.require(not given or getattr(self, switch), field.name, f"it needs --{switch}")


def _is_count(word: str) -> bool:
    return word == "all" or (word.isdecimal() and int(word) >= 1)


def evaluate_runs(arguments: Sequence[str]) -> None:
    """Measure runs and print what came out."""
    names = leading_words(arguments)
    arguments = with_cuts(arguments, names)
    given = parse(
        "open_prune.py eval RUN",
        "Measure runs that are there: RUN is a name, or an unambiguous beginning of it, with or "
        "without /replicate_1; several may be named. Nothing is written into a run, but states "
        "that had to be made again.",
        {"eval": EvalFlags, "platform": platform_flags(arguments)},
        arguments[len(names) :],
    )
    flags: EvalFlags = given["eval"]
    if not names:
        raise UserError("Which run? Write open_prune.py eval RUN; 'ls' lists the runs there are.")
    runs = [store_of(arguments).find(name, flags.replicate) for name in names]
    process.prepare()
    found = measured(runs, flags, given["platform"])
    print(json.dumps(_plain(found), indent=1) if flags.json else "\n".join(told(found)))  # noqa: T201


def measured(runs: Sequence[RunDirectory], flags: EvalFlags, platform: Platform) -> list[Json]:
    """What the flags ask for, of each run, as plain data."""
    with graceful_stop() as stop:
        told_of = reporter(quiet=flags.quiet or flags.json)
        context = Context(platform, told_of, stop=stop)
        return [Measuring(run, flags, context).measured() for run in runs]


def _plain(value: Json) -> Json:
    """The same with numbers that are not finite as texts: JSON has none."""
    match value:
        case float():
            return number_to_json(value)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value
