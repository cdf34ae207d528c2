"""What the engine begins from: a state, and the facts of how it was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from foundations.errors import DamageError
from foundations.run_directory import Fact
from foundations.steps import Step
from foundations.tables import number_to_json
from foundations.tensors import digest
from models.build import prunable
from pruning.mask import Mask
from pruning.report import sparsity_report
from pruning.structure import structured
from training.imported import ImportDesc
from training.numerics import numerics_of
from training.saving import from_saved, save
from training.state import State
from training.weight_files import imported

if TYPE_CHECKING:
    from foundations.description import Description
    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from training.hparams import TrainingHparams
    from training.setting import Setting


@dataclass(frozen=True)
class Start:
    """The beginning of a run, written down once so that resuming never repeats it.

    Args:
        state: Where training begins. Its iteration is where the schedule does.
        facts: Plain data for the record, such as how many weights were pruned.
        training: How it is trained, where that followed from the states; None: as the recipe says.
        measured: Phase, name and value of what was measured to make it.
    """

    state: State
    facts: dict[str, Json] = field(default_factory=dict)
    training: TrainingHparams | None = None
    measured: tuple[tuple[str, str, float], ...] = ()


def start_of(description: Description, setting: Setting) -> Start:
    """The start of a run without a parent: imported weights, or an initialization at iteration 0.

    Raises:
        UserError: The weights that are to be imported are not there, or do not fit the network.
    """
    if isinstance(description, ImportDesc):
        return Start(imported(description, setting))
    return Start(State(0, setting.initialization(setting.initialization_seed)))


def write_start(directory: RunDirectory, start: Start, setting: Setting) -> None:
    """Write the state, its sparsity and, last, ``start.json``, with the recipe of the setting."""
    state = start.state
    dtype = numerics_of(setting.recipe.training.numerics).dtype
    weights = {
        name: value.to("cpu", dtype if value.is_floating_point() else value.dtype)
        for name, value in state.weights.items()
    }
    mask = None if state.mask is None else state.mask.to("cpu")
    state = State(state.iteration, weights if mask is None else mask.apply(weights), mask)
    step = Step.at(state.iteration, setting.iterations_per_epoch)
    save(directory, state, step)
    write_sparsity(directory, mask, setting)
    facts = {
        "iteration": state.iteration,
        "iterations_per_epoch": setting.iterations_per_epoch,
        "end": setting.end,
        "replicate": setting.replicate,
        "recipe": setting.recipe.to_json_dict(),
        "sha256": digest(state.weights),
        "facts": start.facts,
    }
    if start.measured:
        facts["measured"] = [[*what, number_to_json(value)] for *what, value in start.measured]
    directory.write_fact(Fact.START, facts)


def write_sparsity(directory: RunDirectory, mask: Mask | None, setting: Setting) -> None:
    """Counts; of a pruned network also of what is alive and on a path, which takes a trace."""
    network = setting.network()
    dense = Mask.dense(network.state_dict(), prunable(network))
    report: Json = sparsity_report(mask or dense)
    if mask is not None:
        report = structured(report, mask, network, setting.data.shape)
    directory.write_fact(Fact.SPARSITY, report)


def read_start(directory: RunDirectory, setting: Setting) -> Start:
    """The start that was written.

    Raises:
        DamageError: It is damaged, or the data set is not the one that it was made with.
    """
    facts = directory.fact(Fact.START)
    per_epoch = setting.iterations_per_epoch
    if facts["iterations_per_epoch"] != per_epoch:
        raise DamageError(
            f"{directory.path} was begun with {facts['iterations_per_epoch']} iterations an epoch, "
            f"the data set has {per_epoch} now: it is not the same data."
        )
    iteration = facts["iteration"]
    state = from_saved(directory.load_state(Step.at(iteration, per_epoch)), iteration)
    if digest(state.weights) != facts["sha256"]:
        raise DamageError(f"{directory.path}: the first state is not the one start.json tells of.")
    measured = tuple(
        (phase, name, float(value)) for phase, name, value in facts.get("measured", ())
    )
    return Start(state, facts["facts"], measured=measured)
