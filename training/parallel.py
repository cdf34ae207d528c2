"""One step of a run that several processes train: each has a portion of the batch.

The loss of a portion counts by its share of the batch, and what the processes find is added up, so
that all of them make the update of one process that has the whole batch. PyTorch's
``DistributedDataParallel`` would add up gradients by hooks on the parameters of a module; the step
here is a function of tensors that are no module's, and what it adds up is one flat tensor.

The first process leads, the others follow: ``State``s go to them, so that weights and masks are the
same bytes everywhere, whatever their machines would have made of a pruning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from datasets.sources import Portion
from training.saving import from_tensors, to_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from platforms.ranks import Group, Heard
    from training.state import State

STATE, ADVANCE, MEASURE, END = "state", "advance", "measure", "end"
"""What the first tells the others to do."""


class DismissedError(Exception):
    """The first goes no further with this run."""


@dataclass
class Shared:
    """A step's part in a batch that several processes share.

    Args:
        group: The processes.
        asks: Whether this one asks to stop behind the next update; all do so at the same one.
        asked: Whether any of them did, at the last.
    """

    group: Group
    asks: bool = False
    asked: bool = False

    def total(self, loss: Tensor, gradients: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The loss of the whole batch and its gradients, from those of the portions."""
        sums, self.asked = self.group.add_up([*gradients, loss], asks=self.asks)
        return sums[-1], sums[:-1]

    def joined(self, rows: Mapping[str, Tensor], examples: int) -> dict[str, Tensor]:
        """(own examples, width) of every process as (examples, width), in the batch's order."""
        sizes = portion_of(self.group).sizes(examples)
        return {name: self.group.joined(own, sizes) for name, own in rows.items()}


def portion_of(group: Group | None) -> Portion:
    """What a process has of each batch."""
    return Portion() if group is None else Portion(group.rank, group.size)


def give(group: Group, state: State) -> None:
    """Let the others have a state."""
    file = to_tensors(state, torch.empty(0))
    group.tell({"do": STATE, "iteration": state.iteration}, file)


def received(heard: Heard) -> State:
    """The state that the first has given.

    Raises:
        DismissedError: It has ended instead.
    """
    if heard.message["do"] != STATE:
        raise DismissedError
    return from_tensors(heard.file, heard.message["iteration"])[0]
