"""What a strategy's name stands for: ``magnitude``, ``snip10``, ``synflow``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foundations.errors import UserError, unknown
from foundations.registry import Registry
from pruning.criteria import CRITERIA, Examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foundations.registry import Version


@dataclass(frozen=True)
class Published:
    """A criterion and its settings, as a strategy's name states them."""

    criterion: str
    takes_examples: bool = False
    """Whether the name ends in a number of examples per class, passed on as ``examples``."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    reduction: str | None = None
    """How scores of weights become those of kernels, channels or nodes, where the method says so
    and no flag says otherwise."""
    of_single_weights: Mapping[str, Any] = field(default_factory=dict)
    """Settings where single weights are cut, so that there is no reduction to take the absolute
    value."""


_FLOW: Mapping[str, Any] = {
    "examples": Examples(examples=2560, batch_size=128, augmented=True, at_most=True),
    "temperature": 5.0,
}
"""What "A Gradient Flow Framework for Analyzing Network Pruning" (Lubana and Dick 2021) scores on:
2560 augmented examples in batches of 128, or all there are; logits divided by 5."""

_CURVED: Mapping[str, Any] = {**_FLOW, "examples": _FLOW["examples"]._replace(balanced=True)}
"""The same, with as many examples of each class."""


_GATES: dict[str, Any] = {
    "examples": Examples(examples=2000, batch_size=100, augmented=True, at_most=True)
}
"""What "Fine Granularity is Critical for Intelligent Neural Network Pruning" scores on, by default;
the size of batches changes nothing."""


_ACTIVATIONS: dict[str, Any] = {
    "examples": Examples(examples=12800, batch_size=128, augmented=True, at_most=True)
}
"""What "Pruning neural networks: is it time to nip it in the bud?" scores on, in training mode: the
100 batches between two cuts."""


STRATEGIES: Registry[Published] = Registry(
    "strategy",
    {
        "random": Published("random"),
        "magnitude": Published("magnitude"),
        "snip": Published("snip", takes_examples=True),
        "grasp": Published("grasp", takes_examples=True, reduction="signed_sum"),
        "graspabs": Published("grasp", takes_examples=True, settings={"absolute": True}),
        "snip_example": Published(
            "snip", takes_examples=True, settings={"per_example": True, "training": False}
        ),
        "wg": Published("first_order", settings=_FLOW, reduction="sum"),
        "wg_signed": Published(
            "first_order", settings={**_FLOW, "signed": True}, reduction="abs_sum"
        ),
        "w2g": Published("weighted_first_order", settings=_FLOW, reduction="sum"),
        "whg": Published(
            "hessian_gradient", settings={**_CURVED, "temperature": 200.0}, reduction="signed_sum"
        ),
        "whg_abs": Published(
            "hessian_gradient",
            settings={**_CURVED, "temperature": 1.0},
            reduction="abs_sum",
            of_single_weights={"absolute": True},
        ),
        "fisher": Published("fisher", settings=_FLOW, reduction="sum"),
        "fisher_example": Published(
            "fisher", settings={**_FLOW, "per_example": True}, reduction="sum"
        ),
        "synflow": Published("synflow"),
        "mean_mag": Published("magnitude", reduction="mean"),
        "filter_l1": Published("magnitude", reduction="sum"),
        "filter_l2": Published("magnitude", reduction="l2"),
        "filter_signed_sum": Published(
            "magnitude", settings={"signed": True}, reduction="signed_sum"
        ),
        "gate_saliency": Published("gate_saliency", settings=_GATES),
        "gate_saliency_cumulative": Published(
            "gate_saliency", settings={**_GATES, "cumulative": True}
        ),
        "bn_scale": Published("bn_scale"),
        "bn_taylor": Published("bn_taylor", settings=_FLOW),
        "fisher_activations": Published("fisher_activations", settings=_ACTIVATIONS),
        "fisher_activations_batch_mean": Published(
            "fisher_activations", settings={**_ACTIVATIONS, "batch_mean": True}
        ),
        "activation_statistics": Published("activation_statistics"),
        "activation_statistics_batched": Published(
            "activation_statistics", settings={"batched": True}
        ),
    },
)
"""Strategies by name, the number of examples left out."""


@dataclass(frozen=True)
class Strategy:
    """A strategy as it was asked for."""

    name: str
    stem: str
    criterion: str
    settings: Mapping[str, Any]

    @property
    def reduction(self) -> str | None:
        """How it makes scores of kernels, channels or nodes, unless a flag says otherwise."""
        return STRATEGIES[self.stem].reduction

    @property
    def versions(self) -> dict[str, Version]:
        """The versions of the strategy and of its criterion, which enter the names of runs."""
        return {
            f"strategy:{self.stem}": STRATEGIES.version(self.stem),
            f"criterion:{self.criterion}": CRITERIA.version(self.criterion),
        }


def parse_strategy(name: str) -> Strategy:
    """What the name stands for.

    Raises:
        UserError: There is no such strategy (the nearest is suggested), its number of examples
            per class is missing or not a whole number from 1 on, or it takes none.
    """
    if name in STRATEGIES:
        return _strategy(name, name, "")
    stem, digits = _split(name)
    if stem not in STRATEGIES:
        raise unknown("strategy", name, [_example(known, digits) for known in STRATEGIES])
    return _strategy(name, stem, digits)


def _strategy(name: str, stem: str, digits: str) -> Strategy:
    published = STRATEGIES[stem]
    if not published.takes_examples:
        if digits:
            raise UserError(f"The strategy {stem!r} takes no number of examples: not {name!r}.")
        return Strategy(name, stem, published.criterion, published.settings)
    if not digits or digits.startswith("0"):
        raise UserError(
            f"The strategy {name!r} needs the number of examples per class, a whole number from 1 "
            f"on, at the end of its name: for instance {stem + '10'!r}."
        )
    settings = {**published.settings, "examples": Examples(per_class=int(digits))}
    return Strategy(name, stem, published.criterion, settings)


def _split(name: str) -> tuple[str, str]:
    """A name and the digits at its end."""
    stem = re.sub(r"[0-9]+\Z", "", name)
    return stem, name[len(stem) :]


def _example(stem: str, digits: str) -> str:
    """The name that whoever wrote these digits may have meant."""
    return stem + (digits or "10") if STRATEGIES[stem].takes_examples else stem
