"""The criterion that the hyperparameters name, with its settings."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from foundations.errors import UserError
from pruning.criteria import CRITERIA, Examples, UnitCriterion
from pruning.strategies import STRATEGIES, parse_strategy

if TYPE_CHECKING:
    from pruning.criteria import Criterion
    from pruning.hparams import PruningHparams
    from pruning.subject import Subject

_AMOUNTS = ("score_per_class", "score_examples", "score_batches")

_FLAGS = {
    "training": ("score_mode",),
    "temperature": ("score_temperature",),
    "precision": ("score_precision",),
    "examples": (*_AMOUNTS, "score_batch_size", "score_augmented"),
    "initial": ("score_distance",),
    "alpha": ("stat_alpha",),
    "beta": ("stat_beta",),
}
"""The flags by which each setting of a criterion is given."""

SINGLE_WEIGHTS = ("weights", "n_m")
"""The granularities that compare weights by their own scores."""


def scored_by(subject: Subject) -> Criterion | UnitCriterion:
    """The criterion of the strategy; the flags that are given go before what its name says.

    Raises:
        UserError: It has no such setting, or cannot score what is to be cut as one.
    """
    hparams = subject.hparams
    strategy = parse_strategy(hparams.strategy)
    known = _settings_of(strategy.criterion)
    initial = subject.initial if hparams.score_distance else None
    told: dict[str, Any] = {"subject": subject, "initial": initial, "examples": Examples()}
    named = {name: told[name] for name in told if name in known} | _named(hparams)
    given = _given(hparams, named.get("examples", Examples()))
    for setting in (*given, *(["initial"] if hparams.score_distance else [])):
        if setting not in known:
            raise _without(setting, hparams)
    criterion = CRITERIA[strategy.criterion](**named | given)
    _check_serves(criterion, hparams)
    return criterion


def _settings_of(criterion: str) -> frozenset[str]:
    """The names of what a criterion can be made with."""
    return frozenset(inspect.signature(CRITERIA[criterion]).parameters)


def _named(hparams: PruningHparams) -> dict[str, Any]:
    """The settings that the name of the strategy states."""
    strategy = parse_strategy(hparams.strategy)
    single = STRATEGIES[strategy.stem].of_single_weights
    return {**strategy.settings, **(single if hparams.granularity in SINGLE_WEIGHTS else {})}


def _given(hparams: PruningHparams, named: Examples) -> dict[str, Any]:
    """The settings that flags give."""
    settings: dict[str, Any] = {
        "temperature": hparams.score_temperature,
        "precision": hparams.score_precision,
        "training": None if hparams.score_mode is None else hparams.score_mode == "train",
        "alpha": None if hparams.stat_alpha == 1 else hparams.stat_alpha,
        "beta": None if hparams.stat_beta == 1 else hparams.stat_beta,
        "examples": _examples(hparams, named) if _flags("examples", hparams) else None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _examples(hparams: PruningHparams, named: Examples) -> Examples:
    """What is scored on: as the flags say, or else as the strategy's name does.

    An amount that a flag gives is meant: if there are not so many, that is refused.
    """
    per_class, examples, batches = (getattr(hparams, flag) for flag in _AMOUNTS)
    if per_class or examples or batches:
        balanced = named.balanced and examples is not None
        named = Examples(per_class, examples, batches, *named[3:5], balanced=balanced)
    if hparams.score_batch_size is not None:
        named = named._replace(batch_size=hparams.score_batch_size)
    if hparams.score_augmented is not None:
        named = named._replace(augmented=hparams.score_augmented)
    return named


def _flags(setting: str, hparams: PruningHparams) -> list[str]:
    """The flags by which a setting is given here."""
    defaults = {field.name: field.default for field in dataclasses.fields(hparams)}
    return [flag for flag in _FLAGS[setting] if getattr(hparams, flag) != defaults[flag]]


def _without(setting: str, hparams: PruningHparams) -> UserError:
    """The error for a setting that the strategy does not have."""
    flags = " and ".join(f"--{flag}" for flag in _flags(setting, hparams))
    others = sorted(n for n in STRATEGIES if setting in _settings_of(STRATEGIES[n].criterion))
    those = f" Strategies that do: {', '.join(others)}." if others else ""
    return UserError(
        f"The strategy {hparams.strategy!r} does not take {flags}: leave it out.{those}"
    )


def _check_serves(criterion: Criterion | UnitCriterion, hparams: PruningHparams) -> None:
    if not isinstance(criterion, UnitCriterion):
        return
    if hparams.granularity not in criterion.serves:
        raise UserError(
            f"The strategy {hparams.strategy!r} scores {' or '.join(sorted(criterion.serves))}, "
            f"not {hparams.granularity}: give another --strategy or --granularity."
        )
    if hparams.reduction is not None:
        raise UserError(
            f"The strategy {hparams.strategy!r} scores {hparams.granularity} as a whole: "
            "leave out --reduction."
        )
