"""``compact RUN``: the physically smaller network that a run's mask leaves, in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import recipe_in
from branches.claiming import is_there
from branches.run import state_of
from commands.cuts import with_cuts
from commands.flags import parse
from commands.parsing import platform_flags, store_of
from commands.progress import reporter
from commands.text import percent, table
from foundations.description import RunRef
from foundations.errors import UserError
from foundations.hparams import Hparams, optional_step_field
from foundations.run_directory import Fact, RunState
from foundations.step_folders import in_order
from foundations.steps import Step
from platforms import process
from platforms.stop import graceful_stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from platforms.base import Platform

FOLDER = "compacted"
"""Of a run's directory, where its compacted networks are."""

ABOUT = """Write the smaller network that a run's mask leaves: whatever is dead is removed.

RUN is a name, or an unambiguous beginning of it, with or without /replicate_1. The folder holds
architecture.json and model.safetensors, which open_prune.load_compacted(folder) loads without the
run. Its outputs are compared with the masked network's on the test images, in float64."""


@dataclass(frozen=True, kw_only=True)
class CompactFlags(Hparams):
    """Which state is compacted, and what is written where."""

    replicate: int | None = None
    """Which repetition, where there are several."""

    state_step: Step | None = optional_step_field()
    """Which state: 0ep, 100it, prunes:3; by default the end of a run that is done. One that was not
    saved is made again first, and a run that is not so far is trained up to it."""

    output: str | None = None
    """The folder to write; by default compacted/<step> in the run's directory."""

    onnx: bool = False
    """Also model.onnx, checked with onnxruntime."""

    torch_export: bool = False
    """Also model.pt2, as torch.export.save writes it."""

    check_examples: int = 256
    """On how many test images the outputs are compared."""

    def check(self) -> None:
        """Refuse no folder and too few examples."""
        self.require(
            self.output is None or bool(self.output.strip()), "output", "it names no folder"
        )
        self.require(self.check_examples >= 2, "check_examples", "it must be at least 2")


def compact(arguments: Sequence[str]) -> None:
    """Write a compacted network and print what came of it."""
    words = [word for word in arguments[:1] if not word.startswith("-")]
    arguments = with_cuts(arguments, words)
    given = parse(
        "open_prune.py compact RUN",
        ABOUT,
        {"compact": CompactFlags, "platform": platform_flags(arguments)},
        arguments[len(words) :],
    )
    flags: CompactFlags = given["compact"]
    if not words:
        raise UserError(
            "Which run? Write open_prune.py compact RUN; 'ls' lists the runs there are."
        )
    run = store_of(arguments).find(words[0], flags.replicate)
    step = wanted_step(run, flags.state_step)
    recipe = recipe_in(run, run.description(KINDS))
    process.prepare()
    _made(run, step, given["platform"])

    from commands.compacting import Compacting
    from training.setting import Setting

    folder = Path(flags.output) if flags.output else run.path / FOLDER / step.folder
    setting = Setting.on(given["platform"], recipe, run.replicate)
    content, written = Compacting(run, step, folder, flags, setting, given["platform"]).done()
    print("\n".join(told(folder, content, written)))  # noqa: T201 - the command's output


def wanted_step(run: RunDirectory, given: Step | None) -> Step:
    """The step whose state is compacted.

    Args:
        run: Its states.
        given: What ``--state_step`` says.

    Raises:
        UserError: There is no state yet, or the run is not done and no step is given.
    """
    steps = sorted(run.available(), key=in_order)
    names = ", ".join(map(str, steps)) or "none"
    if not steps:
        raise UserError(f"{run.path} has no state yet: run the command that began it again.")
    if given is None:
        if run.state is not RunState.DONE:
            raise UserError(
                f"{run.name} replicate {run.replicate} is not done ({run.state.value}). Run the "
                "command that began it again, or say with --state_step which state is meant. "
                f"There are: {names}."
            )
        return steps[-1]
    per_epoch = run.fact(Fact.START)["iterations_per_epoch"]
    return Step.at(given.iterations(per_epoch), per_epoch)


def _made(run: RunDirectory, step: Step, platform: Platform) -> None:
    """Have the state at a step: one that was not saved is made again.

    Raises:
        UserError: The run is not so long.
    """
    if is_there(run, (step,), whole=False):
        return
    from training.context import Context

    with graceful_stop() as stop:
        context = Context(platform, reporter(quiet=False), stop=stop)
        state_of(RunRef(run.description(KINDS), run.replicate, step), run.replicate, context)


def told(folder: Path, content: Json, written: Sequence[str]) -> Iterator[str]:
    """What is known of a compacted network, as lines.

    Args:
        folder: Where it is.
        content: Of its ``architecture.json``, and ``exports`` by their files.
        written: Which files are new.
    """
    source, sizes, checked = content["source"], content["sizes"], content["compared"]
    yield f"{source['run']} replicate {source['replicate']} at {source['step']}"
    yield ""
    yield table(("", *sizes), _rows(sizes))
    yield ""
    yield (
        f"largest difference from the masked network's outputs: {checked['largest_difference']:.3g}"
        f" (float64, {checked['examples']:,} test images)"
    )
    for name, export in content["exports"].items():
        yield f"{name}: outputs differ by at most {export['largest_difference']:.3g} (float32)"
    if not written:
        yield f"Nothing to do: {folder} was written before."
    for name in written:
        yield f"written: {folder / name}  {(folder / name).stat().st_size:,} bytes"


def _rows(sizes: Json) -> Iterator[tuple[str, ...]]:
    for name, title in (
        ("parameters", "parameters"),
        ("macs", "multiply-accumulates"),
        ("bytes", "stored bytes (masked: packed)"),
    ):
        yield (title, *(f"{size[name]:,}" for size in sizes.values()))
    yield ("test accuracy", *(percent(size["accuracy"]) for size in sizes.values()))
