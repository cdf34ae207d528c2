"""``diff RUN RUN``: what differs between two runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.flags import leading_words, parse
from commands.parsing import platform_flags, store_of
from commands.text import table
from foundations.errors import UserError
from foundations.hparams import Hparams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reports.difference import Difference, Pair, Weights

_NONE = "-"


@dataclass(frozen=True, kw_only=True)
class DiffFlags(Hparams):
    """How it is told."""

    json: bool = False
    """Print JSON, and nothing else."""


def diff(arguments: Sequence[str]) -> None:
    """Print what differs between the two runs that are named."""
    names = leading_words(arguments)
    flags = parse(
        "open_prune.py diff RUN RUN",
        "Show what differs between two runs: hyperparameters (of all runs that they came from), "
        "what was measured last, weights that are kept of each layer, on what they were computed, "
        "and the first epoch with other weights. RUN is a name, or an unambiguous beginning of "
        "it, with or without /replicate_1.",
        {"diff": DiffFlags, "platform": platform_flags(arguments)},
        arguments[len(names) :],
    )
    if len(names) != 2:
        raise UserError("Which two runs? Write open_prune.py diff RUN RUN; 'ls' lists them.")
    from reports.difference import difference

    store = store_of(arguments)
    left, right = map(store.find, names)
    if left.path == right.path:
        raise UserError(f"Both are {left.name}/{left.path.name}: name two runs.")
    found = difference(left, right)
    if flags["diff"].json:
        print(json.dumps(found.to_json_dict(), indent=1))  # noqa: T201 - the command's output
    else:
        print("\n".join(told(found)))  # noqa: T201 - the command's output


def told(found: Difference) -> Iterator[str]:
    """The difference, for a person to read."""
    if found.identical:
        yield "The two runs are identical: hyperparameters, results and weights of every epoch."
    elif found.same_description:
        yield "They are repetitions of one run: their hyperparameters are the same."
    if found.hyperparameters:
        yield "hyperparameters"
        rows = [(f"{c.where}: {c.name}", *map(_cell, c.values)) for c in found.hyperparameters]
        yield table(("", *found.runs), rows)
    parts = {
        "measured last": found.metrics,
        "weights kept": found.layers,
        "computed on": found.provenance,
    }
    for title, pairs in parts.items():
        yield from _part(title, pairs, found.runs)
    yield _weights(found.weights)


def _part(title: str, pairs: Mapping[str, Pair], runs: tuple[str, str]) -> Iterator[str]:
    if pairs:
        yield title
        yield table(("", *runs), [(name, *map(_cell, pair)) for name, pair in pairs.items()])


def _cell(value: object) -> str:
    if value is None:
        return _NONE
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _weights(weights: Weights) -> str:
    if not weights.compared:
        return "weights: none were recorded at the same iteration"
    if weights.first is None:
        return f"weights: the same at all {weights.compared} iterations at which both have some"
    iteration, epoch = weights.first
    return (
        f"weights: first different after epoch {epoch} (iteration {iteration}); the same at "
        f"{weights.equal} of {weights.compared} iterations"
    )
