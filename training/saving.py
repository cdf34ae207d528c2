"""How a state is put into files and taken out of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundations.tensors import TensorFile
from pruning.mask import unpack
from training.state import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from foundations.run_directory import RunDirectory
    from foundations.states import SavedState
    from foundations.steps import Step

_LOSSES = "losses"


def save(directory: RunDirectory, state: State, step: Step, *, replayed: bool = False) -> None:
    """Save weights and mask into the directory, without the optimizer's tensors."""
    mask = None if state.mask is None else TensorFile(*state.mask.pack())
    directory.save_state(step, state.weights, mask, replayed=replayed)


def load(directory: RunDirectory, step: Step, iteration: int) -> State:
    """A state that was saved, or replayed, with a fresh optimizer.

    Raises:
        UserError: There is none at this step.
        DamageError: A file of it is not what was written.
    """
    replayed = step not in directory.states()
    return from_saved(directory.load_state(step, replayed=replayed), iteration)


def from_saved(saved: SavedState, iteration: int) -> State:
    """The state that was saved, with a fresh optimizer."""
    mask = None if saved.mask is None else unpack(saved.mask.tensors, saved.mask.metadata)
    return State(iteration, dict(saved.model), mask)


def to_tensors(state: State, losses: Tensor) -> TensorFile:
    """A state and the losses of the epoch under way, in one flat dict for a checkpoint."""
    bits, metadata = ({}, {}) if state.mask is None else state.mask.pack()
    flat = {f"mask/{name}": value for name, value in bits.items()}
    flat |= {f"weights/{name}": value for name, value in state.weights.items()}
    for slot, values in state.slots.items():
        flat |= {f"slots/{slot}/{name}": value for name, value in values.items()}
    flat |= {f"seen/{name}": value for name, value in state.seen.items()}
    return TensorFile(flat | {_LOSSES: losses}, metadata)


def from_tensors(file: TensorFile, iteration: int) -> tuple[State, Tensor]:
    """The state and the losses that ``to_tensors`` made flat."""
    slots: dict[str, dict[str, Tensor]] = {}
    for path, value in _below("slots", file.tensors).items():
        slot, _, name = path.partition("/")
        slots.setdefault(slot, {})[name] = value
    bits = _below("mask", file.tensors)
    mask = unpack(bits, file.metadata) if bits else None
    seen = _below("seen", file.tensors)
    state = State(iteration, _below("weights", file.tensors), mask, slots, seen)
    return state, file.tensors[_LOSSES]


def _below(folder: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``folder/``, by the rest of their names."""
    start = f"{folder}/"
    return {n.removeprefix(start): value for n, value in tensors.items() if n.startswith(start)}
