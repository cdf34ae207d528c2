"""The criterion that the hyperparameters name, with its settings."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from foundations.errors import UserError
from pruning.criteria import CRITERIA, Examples, UnitCriterion
from pruning.strategies import parse_strategy

if TYPE_CHECKING:
    from pruning.criteria import Criterion
    from pruning.hparams import PruningHparams
    from pruning.strategies import Strategy
    from pruning.subject import Subject

_FLAGS = {
    "training": "score_mode",
    "temperature": "score_temperature",
    "precision": "score_precision",
    "examples": "score_per_class, score_examples or score_batches",
    "alpha": "stat_alpha",
    "beta": "stat_beta",
}
"""By which flag each setting of a criterion is given."""


def scored_by(subject: Subject) -> Criterion | UnitCriterion:
    """The criterion of the strategy; the flags that are given go before what its name says.

    Raises:
        UserError: It has no such setting, or cannot score what is to be cut as one.
    """
    hparams = subject.hparams
    strategy = parse_strategy(hparams.strategy)
    kind = CRITERIA[strategy.criterion]
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type] # all are
    settings = _given(hparams, strategy) | _from(subject, known)
    for name in settings:
        if name not in known:
            raise UserError(f"The strategy {strategy.name!r} has no {_FLAGS.get(name, name)}.")
    if "examples" in known and "examples" not in {*settings, *strategy.settings}:
        settings["examples"] = Examples()
    criterion = kind(**{**strategy.settings, **settings})
    _check_serves(criterion, hparams)
    return criterion


def _given(hparams: PruningHparams, strategy: Strategy) -> dict[str, Any]:
    """The settings that flags give."""
    settings: dict[str, Any] = {
        "temperature": hparams.score_temperature,
        "precision": hparams.score_precision,
        "training": None if hparams.score_mode is None else hparams.score_mode == "train",
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    for name in ("alpha", "beta"):
        if (value := getattr(hparams, f"stat_{name}")) != 1:
            settings[name] = value
    named: Examples = strategy.settings.get("examples", Examples())
    examples = _examples(hparams, named)
    return settings | ({"examples": examples} if examples != named else {})


def _examples(hparams: PruningHparams, named: Examples) -> Examples:
    """What is scored on: as the flags say, or else as the strategy's name does."""
    asked = (hparams.score_per_class, hparams.score_examples, hparams.score_batches)
    amount = asked if any(count is not None for count in asked) else named[:3]
    size = hparams.score_batch_size or named.batch_size
    return Examples(*amount, size, hparams.score_augmented or named.augmented)


def _from(subject: Subject, known: set[str]) -> dict[str, Any]:
    """What a criterion is told of the subject, if it has a field for it."""
    told = {"subject": subject, "initial": subject.initial}
    if subject.hparams.score_distance and "initial" not in known:
        raise UserError(
            f"The strategy {subject.hparams.strategy!r} takes no distance from initialization: "
            "leave out --score_distance."
        )
    return {name: value for name, value in told.items() if name in known}


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
