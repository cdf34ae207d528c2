"""Where pruning begins and where it ends: method, mask, units and goal, before any round."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from foundations.errors import UserError
from pruning.allocations import Counting
from pruning.gating import gates_of, with_gates
from pruning.goal import Goal, goal_at, goal_of
from pruning.mask import Mask
from pruning.method import Method, method_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from pruning.hparams import PruningHparams
    from pruning.subject import Subject


class Begun(NamedTuple):
    """What all rounds of a pruning have in common."""

    method: Method
    network: nn.Module
    """With the gates that may be cut."""
    mask: Mask
    """What is kept before the first round, on the device of the weights."""
    units: Mask
    """Of the units that may be cut, those that it keeps."""
    goal: Goal
    counted: bool
    """Whether the granularity or the allocation says how many are left, not a fraction."""


def begun(subject: Subject, weights: Mapping[str, Tensor], mask: Mask | None) -> Begun:
    """The beginning of a pruning as the subject's hyperparameters say.

    Args:
        subject: The network and how to prune it.
        weights: All parameters and buffers by name.
        mask: What is kept so far; all prunable weights of the network, if nothing is given.

    Raises:
        UserError: The choices do not go together or ask for what cannot be, or the mask is another
            network's.
    """
    method, hparams = method_of(subject), subject.hparams
    start = Mask.dense(weights, subject.prunable) if mask is None else mask
    start.check({name: tuple(weight.shape) for name, weight in weights.items()} | _gates(start))
    start = start.to(next(iter(weights.values())).device)
    units = method.eligible(start)
    _refuse_all_ignored(units, hparams)
    after = _counted(method, units)
    if after is None:
        goal = goal_of(hparams, units.kept, units.total)
    else:
        goal = goal_at(after, units.kept, units.total)
    network = _with_gates(subject, {**start, **method.granularity.units(start)})
    return Begun(method, network, start, units, goal, after is not None)


def _refuse_all_ignored(units: Mask, hparams: PruningHparams) -> None:
    """A run that is called pruned and is dense is a mistake nobody would see."""
    if hparams.layers_to_ignore and not units.total:
        ignored = ",".join(hparams.layers_to_ignore)
        raise UserError(
            f"layers_to_ignore={ignored} is every layer that could be pruned: leave one out of it."
        )


def _counted(method: Method, units: Mask) -> int | None:
    """How many are kept in the end, where the granularity or the allocation itself says it."""
    after = method.granularity.goal(units)
    if after is None and isinstance(method.allocation, Counting):
        return sum(method.allocation.counts(method.minimum.rooms(units)).values())
    return after


def _with_gates(subject: Subject, names: Iterable[str]) -> nn.Module:
    """The network, with these gates; only then does it matter what images it takes."""
    if not gates_of(names) or subject.shape is None:
        return subject.network
    return with_gates(subject.network, subject.shape, names)


def _gates(mask: Mask) -> dict[str, Sequence[int]]:
    """The shapes of the gates of a mask: whether the network has them is seen when it is run."""
    return {name: mask.shapes[name] for name in gates_of(mask)}
