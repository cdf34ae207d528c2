"""Pruning while a network trains: when rounds come, and what each makes of the state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foundations.draws import key
from foundations.errors import UserError
from training.course import Course

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.begun import Begun
    from pruning.mask import Mask
    from pruning.rounds import Rounds
    from training.setting import Setting
    from training.state import State
    from training.tracking import Tracking


def counted(begun: Begun, each: int, rounds: int) -> tuple[int, ...]:
    """How many units are left after each of so many rounds that cut ``each``, as far as it goes.

    The last round cuts what is left to cut, if that is fewer; rounds that would cut nothing are
    left out.

    Raises:
        UserError: Nothing can be cut at all.
    """
    least = sum(room.least for room in begun.method.minimum.rooms(begun.units).values())
    before = begun.units.kept
    kept = (max(least, before - each * number) for number in range(1, rounds + 1))
    # A round cuts something where the one before it has left more than the least.
    found = tuple(n for number, n in enumerate(kept) if before - each * number > least)
    if not found:
        raise UserError(
            f"Nothing can be cut: there are {before:,} units that may be, and the layers keep "
            f"{least:,} of them at least (--minimum_kept, --minimum_fraction)."
        )
    return found


@dataclass(frozen=True, eq=False)
class Interleaving:
    """Rounds of pruning at iterations of training."""

    rounds: Rounds
    iterations: tuple[int, ...]
    """When each round cuts."""
    setting: Setting
    seed: int
    preserve_momentum: bool
    tracking: Tracking | None

    def change(self, state: State) -> State:
        """The state behind the cut at its iteration."""
        position = self.iterations.index(state.iteration)
        weights = self.setting.on_device(state.weights)
        if state.mask is None:
            raise ValueError("A run that is pruned while it trains has a mask from the beginning.")
        mask = self.rounds.cut(
            position,
            weights,
            state.mask.to(self.setting.device),
            data=self.setting.scoring_data(key(self.seed, "round", position)),
            seed=self.seed,
            scores=None if self.tracking is None else self.tracking.scores(state.seen),
        ).to("cpu")
        slots = {}
        if self.preserve_momentum:
            slots = {slot: _within(mask, values) for slot, values in state.slots.items()}
        return replace(state, weights=mask.apply(state.weights), mask=mask, slots=slots, seen={})

    def course(self, lr: float | None) -> Course:
        """How it changes a run."""
        method = self.rounds.method
        return Course(
            self.iterations,
            self.change,
            lambda mask: method.eligible(mask).kept,
            self.tracking,
            lr,
        )


def _within(mask: Mask, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """A slot of the optimizer, zero where the mask cuts: what is zero there never moves."""
    return {
        name: value * mask[name].to(value) if name in mask else value
        for name, value in values.items()
    }
