"""The same from Python: build a description, run it, open a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from branches import KINDS, branches
from branches.opened import Run
from branches.run import Job, complete
from commands.import_ import ImportFlags, described
from commands.parsing import pinned
from commands.progress import reporter
from foundations import plugins
from foundations.description import BranchDesc, Description, RunRef
from foundations.errors import unknown
from foundations.hparams import field_types
from foundations.steps import Step
from foundations.store import Store
from models.presets import preset
from platforms import process
from platforms.local import Local
from platforms.stop import graceful_stop
from training.context import Context
from training.description import TrainDesc
from training.hparams import RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foundations.plugins import Plugin
    from platforms.base import Platform
    from training.imported import ImportDesc


def describe(
    preset_name: str = "digits_lenet",
    *,
    platform: Platform | None = None,
    **hyperparameters: Any,  # noqa: ANN401 - as the fields are
) -> TrainDesc:
    """A training job: a preset, with some hyperparameters changed.

    Args:
        preset_name: As ``--default_hparams`` has it.
        platform: Where an image folder is looked for; by default this machine.
        **hyperparameters: By the names of the flags; steps may be text.

    Raises:
        UserError: A name or value is not allowed.
    """
    made = TrainDesc.from_flat(preset(preset_name) | hyperparameters)
    return pinned(made, platform or Local())


def branch(
    parent: Description,
    kind: str,
    *,
    platform: Platform | None = None,
    **hyperparameters: Any,  # noqa: ANN401 - as the fields are
) -> BranchDesc:
    """A branch of a run.

    Args:
        parent: The description of the run that is branched from.
        kind: The name of the branch: ``"oneshot"``.
        platform: As for ``describe``.
        **hyperparameters: By the names of the flags; steps may be text, and another run its
            description.

    Raises:
        UserError: A name or value is not allowed.
    """
    if kind not in branches():
        raise unknown("branch", kind, branches())
    hparams = KINDS[kind]
    types = field_types(hparams)
    for name in hyperparameters:
        if name not in types:
            raise unknown("hyperparameter", name, types)
    values = {name: _ref(value) for name, value in hyperparameters.items()}
    place = platform or Local()
    made = hparams(**values).pinned(place.datasets_root(), place.num_workers)
    return BranchDesc(parent=parent, branch=made)


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


def state(
    description: Description, step: Step | str | None = None, replicate: int | None = None
) -> RunRef:
    """Another run, or a state of it, for a field of a branch that takes one.

    Args:
        description: What the run is.
        step: Which state, where no other field of the branch says so: for prune_experiment,
            prune_step does.
        replicate: Which repetition; by default that of the branch.
    """
    return RunRef(description, replicate, Step.parse(step) if isinstance(step, str) else step)


def plugin(path: str | Path) -> Plugin:
    """Load a file of your own that adds criteria, strategies, branches, networks or data sets.

    Does nothing where the file was loaded already.

    Raises:
        UserError: It is missing, fails (says in which line), or has changed since it was loaded.
    """
    return plugins.load(path)


def _ref(value: object) -> object:
    """A description as the run that it is, alone or in a list; any other value as it is."""
    if isinstance(value, list | tuple):
        return tuple(map(_ref, value))
    return RunRef(value) if isinstance(value, Description) else value
