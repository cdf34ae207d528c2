"""Importance that is tracked while a network trains: found by each update, averaged by rounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Self

import torch
from torch import nn

from foundations.errors import UserError
from models.gates import gate_name
from pruning.criteria.activation_gates import (
    gates_of_examples,
    information,
    sites_of,
    unit_sums,
)
from pruning.criteria.batch_norm import BnTaylor, with_norms
from pruning.criteria.fisher_activations import FisherActivations
from pruning.criteria.loss import Loss, LossCriterion
from pruning.mask import Mask
from training.course import Update, next_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from torch import Tensor

    from pruning.begun import Begun
    from pruning.criteria.activation_gates import UnitSites
    from pruning.criteria.passes import Scores
    from pruning.granularity import Granularity
    from training.course import Gates

_COUNT = "count"
"""What is seen besides scores: the weights of the updates."""


class Scorer(Protocol):
    """What an update says of the units."""

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates that it needs, as masks name them."""

    def inputs(self, examples: int, gates: Mapping[str, Tensor], like: Tensor) -> Gates:
        """See ``training.course.Observer``."""

    def scores(self, update: Update) -> Mapping[str, Tensor]:
        """By the name of units."""

    def weight(self, update: Update) -> float:
        """What the update counts for in a mean over all of a round."""


@dataclass(frozen=True, eq=False)
class Tracking:
    """The observer: see ``training.course.Observer``."""

    scorer: Scorer
    units: Mask
    """The units there are."""
    changes: tuple[int, ...]
    """The iterations at which rounds cut."""
    batches: int | None
    """How many of the last updates before a cut are seen; None is all."""
    alpha: float | None
    """What the newest update counts for in a moving average; None is the mean of all."""

    @property
    def gates(self) -> tuple[str, ...]:
        """Those of the scorer."""
        return self.scorer.gates

    def watches(self, iteration: int) -> bool:
        """Whether a cut comes within so many updates."""
        after = next_of(self.changes, iteration)
        if after is None:
            return False
        return self.batches is None or after - iteration <= self.batches

    def fresh(self) -> dict[str, Tensor]:
        """Zeros."""
        units = {name: torch.zeros(kept.shape) for name, kept in self.units.items()}
        return {**units, _COUNT: torch.zeros(())}

    def inputs(self, examples: int, gates: Mapping[str, Tensor], like: Tensor) -> Gates:
        """Those of the scorer."""
        return self.scorer.inputs(examples, gates, like)

    def observe(self, seen: Mapping[str, Tensor], update: Update) -> None:
        """``seen = alpha * new + (1 - alpha) * seen``, from zero; or a sum, with its weights."""
        weight = self.scorer.weight(update)
        seen[_COUNT].add_(weight)
        for name, new in self.scorer.scores(update).items():
            if self.alpha is None:
                seen[name].add_(new, alpha=weight)
            else:
                seen[name].lerp_(new, self.alpha)

    def scores(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The scores of the units, of what was seen since the last cut."""
        found = {name: seen[name] for name in self.units}
        if self.alpha is not None:
            return found
        return {name: value / seen[_COUNT] for name, value in found.items()}


def tracking(
    begun: Begun,
    trained: Collection[str],
    changes: tuple[int, ...],
    batches: int | None,
    alpha: float | None,
) -> Tracking:
    """How the importance of a pruning's units is tracked.

    Args:
        begun: The pruning.
        trained: The parameters that are not frozen.
        changes: As for ``Tracking``.
        batches: Likewise.
        alpha: Likewise.

    Raises:
        UserError: Its strategy needs passes of its own, or gradients of what is frozen.
    """
    method = begun.method
    criterion, units = method.criterion, method.granularity.units(begun.mask)
    scorer: Scorer
    if isinstance(criterion, FisherActivations):
        wiring = criterion.subject.wiring
        device = next(iter(begun.mask.values())).device
        sites = sites_of(method.granularity, wiring).to(device)
        scorer = _OfActivations(sites, criterion.batch_mean)
    elif isinstance(criterion, LossCriterion | BnTaylor):
        scorer = _OfGradients.checked(begun, criterion, trained)
    else:
        raise _untracked()
    return Tracking(scorer, units, changes, batches, alpha)


@dataclass(frozen=True, eq=False)
class _OfGradients:
    """Scores made of weights and the gradients by which they were updated."""

    begun: Begun
    criterion: LossCriterion | BnTaylor

    @property
    def gates(self) -> tuple[str, ...]:
        """None."""
        return ()

    def inputs(self, examples: int, gates: Mapping[str, Tensor], like: Tensor) -> Gates:  # noqa: ARG002 - the interface's
        """None."""
        return {}

    def weight(self, update: Update) -> float:
        """As many as its examples."""
        return update.examples

    def scores(self, update: Update) -> Mapping[str, Tensor]:
        """Of what is cut they are zero, as its weights and gradients are."""
        granularity, mask = self._granularity, self._everything
        names = self._scored
        loss = _Observed(
            network=nn.Identity(),
            weights={},
            variables={name: update.parameters[name] for name in names},
            batches=(),
            training=True,
            temperature=1.0,
            key=(),
            slopes={name: _slope(name, update) for name in names},
        )
        if isinstance(self.criterion, BnTaylor):
            return self.criterion.scores(loss, granularity, mask)
        return granularity.scores(self.criterion.scores(loss), mask)

    @classmethod
    def checked(
        cls, begun: Begun, criterion: LossCriterion | BnTaylor, trained: Collection[str]
    ) -> Self:
        """With a criterion that is made of the gradient alone, of what is trained.

        Raises:
            UserError: It is not, or something that is scored and may be cut is frozen.
        """
        made = cls(begun, criterion)
        _refuse_frozen(set(made._scored) - set(trained) - _ignored(begun))
        shapes = dict(begun.network.named_parameters())
        zeros = {name: torch.zeros_like(shapes[name]) for name in made._scored}
        made.scores(Update(zeros, zeros, {}, {}, 1))
        return made

    @cached_property
    def _granularity(self) -> Granularity:
        """That of the pruning; for scores of norms, with norms of the channels' own."""
        granularity = self.begun.method.granularity
        return with_norms(granularity) if isinstance(self.criterion, BnTaylor) else granularity

    @cached_property
    def _everything(self) -> Mask:
        mask = self.begun.mask
        return Mask({name: torch.ones_like(kept) for name, kept in mask.items()})

    @cached_property
    def _scored(self) -> list[str]:
        granularity = self._granularity
        if isinstance(self.criterion, BnTaylor):
            return granularity.multiplied(self._everything)
        return granularity.scored(self._everything)


@dataclass(frozen=True, eq=False)
class _OfActivations:
    """Fisher information of activations, of gates of each example."""

    sites: UnitSites
    batch_mean: bool

    @property
    def gates(self) -> tuple[str, ...]:
        """One behind each activation of a unit."""
        return tuple(gate_name(site.name) for site in self.sites.sites)

    def inputs(self, examples: int, gates: Mapping[str, Tensor], like: Tensor) -> Gates:
        """A gate for each example."""
        return gates_of_examples(self.sites, gates, examples, like)

    def weight(self, update: Update) -> float:
        """As many as its examples; of the published way, each update counts for one."""
        return 1 if self.batch_mean else update.examples

    def scores(self, update: Update) -> Mapping[str, Tensor]:
        """Half the mean over examples; the loss that was differentiated is the batch's mean."""
        slopes = {name: slope * update.examples for name, slope in update.slopes.items()}
        sums = unit_sums(self.sites, update.gates, slopes)
        found = information(sums, batch_mean=self.batch_mean)
        weight = self.weight(update)
        return {name: value / weight for name, value in found.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Observed(Loss):
    """The loss of a batch that was trained on, of which the gradient alone is known."""

    slopes: Mapping[str, Tensor]

    def at(
        self,
        variables: Mapping[str, Tensor],  # noqa: ARG002 - the base's
        x: Tensor,  # noqa: ARG002 - the base's
        y: Tensor,  # noqa: ARG002 - the base's
        *,
        reduction: str = "mean",  # noqa: ARG002 - the base's
    ) -> Tensor:
        """Not to be had again."""
        raise _untracked()

    def gradient(self, x: Tensor, y: Tensor, *, again: bool = False) -> Scores:  # noqa: ARG002 - the base's
        """The gradient, which may be written to."""
        if again:
            raise _untracked()
        return {name: slope.clone() for name, slope in self.slopes.items()}

    def mean(self, score: Callable[[Tensor, Tensor], Scores]) -> Scores:
        """Over the one batch."""
        nothing = torch.empty(0)
        return score(nothing, nothing)


def _slope(name: str, update: Update) -> Tensor:
    """The gradient by a parameter; of one that is frozen, and ignored, zeros."""
    found = update.gradients.get(name)
    return torch.zeros_like(update.parameters[name]) if found is None else found


def _ignored(begun: Begun) -> set[str]:
    """The units that are not to be cut, by their names."""
    method = begun.method
    return {*method.granularity.units(begun.mask)} - {*method.eligible(begun.mask)}


def _refuse_frozen(names: set[str]) -> None:
    """Refuse to track what training has no gradient of."""
    if names:
        raise UserError(
            f"Frozen, so that training finds no gradient to track, but scored: "
            f"{', '.join(sorted(names))}. Leave out --track, or choose "
            "--strategy=fisher_activations."
        )


def _untracked() -> UserError:
    return UserError(
        "This strategy needs passes of its own, so it cannot be tracked while training: leave out "
        "--track, or choose wg, wg_signed, w2g, fisher, bn_taylor or fisher_activations."
    )
