"""The same from Python: run a description, open a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from branches import KINDS
from branches.describing import describe
from branches.opened import Run
from branches.run import Job, complete
from commands.import_ import ImportFlags, described
from commands.progress import reporter
from foundations import plugins
from foundations.steps import Step
from foundations.store import Store
from platforms import process
from platforms.local import Local
from platforms.stop import graceful_stop
from training.context import Context
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foundations.description import Description
    from foundations.plugins import Plugin
    from platforms.base import Platform
    from training.imported import ImportDesc


def import_weights(
    path: str | Path,
    preset_name: str = "digits_lenet",
    *,
    import_step: Step | str | None = None,
    rename: Sequence[str] = (),
    platform: Platform | None = None,
    **hyperparameters: Any,  # noqa: ANN401 - as the fields are
) -> ImportDesc:
    """A run of weights from elsewhere, as ``open_prune.py import`` makes it.

    Args:
        path: A .safetensors file, or a state dict that torch.save wrote.
        preset_name: The network, and the recipe by which branches train on.
        import_step: The step of training that they are at; by default its end.
        rename: How beginnings of names change: ``["old=new"]``.
        platform: As for ``describe``.
        **hyperparameters: As for ``describe``.

    Raises:
        UserError: There are no such weights; a name or value is not allowed.
    """
    recipe = describe(preset_name, platform=platform, **hyperparameters)
    step = Step.parse(import_step) if isinstance(import_step, str) else import_step
    return described(str(path), recipe, ImportFlags(import_step=step, rename=tuple(rename)))


def run(
    description: Description,
    replicate: int = 1,
    *,
    platform: Platform | None = None,
    options: RunOptions | None = None,
    quiet: bool = False,
) -> Run:
    """Carry out a description, whatever of its lineage is missing included.

    Args:
        description: What to run.
        replicate: Which repetition.
        platform: Where; by default this machine, with its roots from the environment.
        options: What to record.
        quiet: Show no progress.

    Raises:
        OpenPruneError: As the command line prints it.
    """
    platform = platform or Local()
    process.prepare()
    with graceful_stop() as stop:
        reports = reporter(quiet=quiet)
        context = Context(platform, reports, options or RunOptions(), stop)
        directory = complete(Job(description, replicate), context)
    return Run(directory, platform.datasets_root())


def open_run(name: str, replicate: int | None = None, *, platform: Platform | None = None) -> Run:
    """A run by its name, or an unambiguous beginning of it.

    Raises:
        UserError: There is none, or there are several, or it is another run than its name says.
        DamageError: What it is cannot be read.
    """
    platform = platform or Local()
    found = Store(platform.results_root()).find(name, replicate)
    found.description(KINDS)
    return Run(found, platform.datasets_root())


def runs(*, platform: Platform | None = None) -> list[Run]:
    """All runs there are."""
    platform = platform or Local()
    found = Store(platform.results_root()).runs()
    return [Run(directory, platform.datasets_root()) for directory in found]


def plugin(path: str | Path) -> Plugin:
    """Load a file of your own that adds criteria, strategies, branches, networks or data sets.

    Does nothing where the file was loaded already.

    Raises:
        UserError: It is missing, fails (says in which line), or has changed since it was loaded.
    """
    return plugins.load(path)
