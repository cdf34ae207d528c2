"""What differs between two runs: hyperparameters, results, layers, where, and weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from branches import KINDS
from branches.base import lineage, recipe_in
from foundations.description import Description
from foundations.hparams import Hparams, hashed_fields
from foundations.run_directory import Fact
from foundations.tables import number_to_json
from reports.words import written
from training.provenance import recorded_fingerprints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory

Pair = tuple["Json", "Json"]
"""What the first run has, and the second; None where one has nothing."""


class Change(NamedTuple):
    """A hyperparameter that differs.

    Args:
        where: Which part of the lineage: ``first run``, ``branch 1`` and so on, or ``trained by``,
            the recipe that follows from all of it.
        name: Such as ``training.lr``.
        values: As the flags are given.
    """

    where: str
    name: str
    values: Pair


class Weights(NamedTuple):
    """How the weights of two runs compare, by the digests that were kept at each epoch.

    Args:
        compared: At how many iterations both have one.
        equal: At how many of these they are the same.
        first: The first iteration and its epoch where they are not; None where there is none.
    """

    compared: int
    equal: int
    first: tuple[int, int] | None


class Difference(NamedTuple):
    """All that differs between two runs; empty parts are the same.

    Args:
        runs: What they are called, with their replicates.
        hyperparameters: That differ.
        metrics: What was measured last, where it differs, by ``test accuracy``.
        layers: Kept weights, where these differ, by the name of the layer; all of them as ``all``.
        provenance: Fingerprints that differ, by ``torch``, ``threads``, and so on.
        weights: Their weights.
    """

    runs: tuple[str, str]
    hyperparameters: list[Change]
    metrics: dict[str, Pair]
    layers: dict[str, Pair]
    provenance: dict[str, Pair]
    weights: Weights

    @property
    def same_description(self) -> bool:
        """Whether they are repetitions of one run, or one and the same."""
        return not self.hyperparameters

    @property
    def identical(self) -> bool:
        """Whether nothing that decides or measures them differs, and every weight is the same."""
        found = self.hyperparameters or self.metrics or self.layers or self.weights.first
        return not found and self.weights.compared > 0

    def to_json_dict(self) -> dict[str, Json]:
        """The same as JSON."""
        first = self.weights.first
        return {
            "runs": list(self.runs),
            "identical": self.identical,
            "hyperparameters": [
                {"where": change.where, "name": change.name, "values": list(change.values)}
                for change in self.hyperparameters
            ],
            "metrics": {name: list(pair) for name, pair in self.metrics.items()},
            "layers": {name: list(pair) for name, pair in self.layers.items()},
            "provenance": {name: list(pair) for name, pair in self.provenance.items()},
            "weights": {
                "compared": self.weights.compared,
                "equal": self.weights.equal,
                "first_different": first and {"iteration": first[0], "epoch": first[1]},
            },
        }


def difference(left: RunDirectory, right: RunDirectory) -> Difference:
    """What differs between two runs.

    Raises:
        DamageError: One of them is damaged.
        UserError: What one of them is cannot be read, for lack of a plugin.
    """
    return Difference(
        runs=(f"{left.name}/{left.path.name}", f"{right.name}/{right.path.name}"),
        hyperparameters=list(_changes(left, right)),
        metrics=_different(_last(left), _last(right)),
        layers=_different(_kept(left), _kept(right)),
        provenance=_different(_fingerprint(left), _fingerprint(right)),
        weights=_weights(left, right),
    )


def _changes(left: RunDirectory, right: RunDirectory) -> Iterator[Change]:
    """From the oldest ancestor down; then of what the runs are trained by, what is not said yet."""
    lines = [lineage(run.description(KINDS)) for run in (left, right)]
    told: set[tuple[str, Pair]] = set()
    for number in range(max(map(len, lines))):
        at = [line[number] if number < len(line) else None for line in lines]
        alike = len({None if each is None else each.kind for each in at}) == 1
        pair = [{} if each is None else _flat(each, whole=alike) for each in at]
        for name, values in _different(*pair).items():
            told.add((name, values))
            yield Change(f"branch {number}" if number else "first run", name, values)
    recipes = (recipe_in(run, line[-1]) for run, line in zip((left, right), lines, strict=True))
    for name, values in _different(*(_flat(recipe, whole=True) for recipe in recipes)).items():
        if (name, values) not in told:
            yield Change("trained by", name, values)


def _flat(description: Description, *, whole: bool) -> dict[str, Json]:
    """The kind of a run, and what its own groups of hyperparameters say, as flags are given.

    Args:
        description: The run.
        whole: Whether what is at its default is said too.
    """
    groups = {
        name: value
        for name, value in vars(description).items()
        if isinstance(value, Hparams) and not isinstance(value, Description)
    }
    found: dict[str, Json] = {"kind": description.kind}
    for name, group in groups.items():
        found |= dict(_values(group, f"{name}.", whole=whole))
    return found


def _values(group: Hparams, prefix: str, *, whole: bool) -> Iterator[tuple[str, str]]:
    chosen = group.canonical()
    for field in hashed_fields(type(group)):
        value = getattr(group, field.name)
        if isinstance(value, Hparams):
            yield from _values(value, f"{prefix}{field.name}.", whole=whole)
        elif whole or field.name in chosen:
            yield f"{prefix}{field.name}", written(value)
    for what, version in group.hashed_versions().items():
        yield f"{prefix}version of {what}", str(version)


def _different(left: Mapping[str, Json], right: Mapping[str, Json]) -> dict[str, Pair]:
    """What is not the same, in the order of the first."""
    return {
        name: (left.get(name), right.get(name))
        for name in dict.fromkeys([*left, *right])
        if left.get(name) != right.get(name)
    }


def _last(run: RunDirectory) -> dict[str, Json]:
    """What was measured last of each kind, as JSON: a number that is not one equals itself."""
    return {f"{row.phase} {row.name}": number_to_json(row.value) for row in run.metrics()}


def _kept(run: RunDirectory) -> dict[str, Json]:
    report = run.fact(Fact.SPARSITY)
    if report is None:
        return {}
    layers = {row["layer"]: f"{row['kept']:,} of {row['total']:,}" for row in report["layers"]}
    return {**layers, "all": f"{report['kept']:,} of {report['total']:,}"}


def _fingerprint(run: RunDirectory) -> dict[str, Json]:
    """Under what it was computed; several where it was continued elsewhere."""
    found: dict[str, Json] = {}
    for fingerprint in recorded_fingerprints(run):
        for name, value in fingerprint.items():
            values = found.setdefault(name, [])
            if value not in values:
                values.append(value)
    return {name: ", ".join(map(str, values)) for name, values in found.items()}


def _weights(left: RunDirectory, right: RunDirectory) -> Weights:
    theirs = {row.iteration: row.sha256 for row in right.digests()}
    both = [row for row in left.digests() if row.iteration in theirs]
    other = [row for row in both if row.sha256 != theirs[row.iteration]]
    first = (other[0].iteration, other[0].epoch) if other else None
    return Weights(len(both), len(both) - len(other), first)
