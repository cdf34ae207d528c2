"""``eval RUN``: measure a run, at any step, after training; nothing is written into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from commands.evaluated import told
from commands.flags import parse
from commands.measuring import Measuring
from commands.parsing import platform_flags, store_of
from commands.progress import reporter
from foundations.errors import UserError
from foundations.hparams import Hparams, optional_step_field
from foundations.steps import Step
from foundations.tables import number_to_json
from platforms import process
from platforms.stop import graceful_stop
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
    """Which state: 0ep, 100it, 2ep; by default the last that is there. One that was not saved is
    made again first, and a run that is not so far is trained up to it."""

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

    json: bool = False
    """Print JSON, and nothing else."""

    quiet: bool = False
    """Show no progress."""

    def check(self) -> None:
        """Refuse unknown splits, k below 1, no batches, and flags that another one lacks."""
        RunOptions(evaluate_on=self.evaluate_on, top_k=self.top_k)
        for count, switch in (
            ("recalibrate_batches", "recalibrate"),
            ("gradient_batches", "gradient_norm"),
            ("dims_examples", "report_dims"),
        ):
            given = getattr(self, count)
            self.require(given is None or given >= 1, count, "it must be at least 1")
            self.require(given is None or getattr(self, switch), count, f"it needs --{switch}")


def evaluate_runs(arguments: Sequence[str]) -> None:
    """Measure runs and print what came out."""
    names = list(takewhile(lambda word: not word.startswith("-"), arguments))
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
