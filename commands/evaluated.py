"""What ``eval`` measured, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.compared import TOLD
from commands.sparsity import accounting
from commands.text import decimal, percent, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foundations.hparams import Json

_RUN = ("run", "replicate", "step", "batch norms", "split")


def told(runs: Sequence[Json]) -> Iterator[str]:
    """A table of all runs' accuracies and losses, and below it what else was measured of each.

    Args:
        runs: As ``commands.measuring`` gives them.
    """
    rows = [(_run(run, result, part), part) for run in runs for result, part in _parts(run)]
    names = list(dict.fromkeys(name for _, part in rows for name in part["metrics"]))
    cells = [(*of, *(_written(name, part["metrics"][name]) for name in names)) for of, part in rows]
    yield table((*_RUN, *names), cells)
    if any("per_class" in part for _, part in rows):
        classes = range(max(len(part["per_class"]) for _, part in rows))
        yield ""
        yield table(
            (*_RUN, *(f"class {label}" for label in classes)), [_by_class(*row) for row in rows]
        )
    for run in runs:
        yield from _others(run)


def _parts(run: Json) -> Iterator[tuple[Json, Json]]:
    for result in run["results"]:
        for part in result["splits"]:
            yield result, part


def _run(run: Json, result: Json, part: Json) -> tuple[str, ...]:
    split = f"{part['split']} ({part['examples']:,})"
    return (run["run"], str(run["replicate"]), result["step"], result["batch_norms"], split)


def _written(name: str, value: float) -> str:
    return decimal(value) if name == "loss" else percent(value)


def _by_class(of: tuple[str, ...], part: Json) -> tuple[str, ...]:
    return (*of, *map(percent, part["per_class"]))


def _others(run: Json) -> Iterator[str]:
    name = f"{run['run']} replicate {run['replicate']}"
    if (gradient := run.get("gradient_norm")) is not None:
        yield ""
        yield (
            f"{name} at {gradient['step']}: the gradient of the training loss on "
            f"{gradient['examples']:,} examples has the norm {gradient['norm']:.6g}; of the "
            f"weights that can be pruned alone, {gradient['norm_of_prunable']:.6g}"
        )
    if (dimensions := run.get("dimensions")) is not None:
        yield from ("", f"{name} at {dimensions['step']}: effective dimensions")
        for number, layer in enumerate(dimensions["layers"]):
            yield (
                f"  Layer {number}: {layer['dimensions']:.3f} out of {layer['features']}  "
                f"{layer['layer']}"
            )
    if (account := run.get("accounting")) is not None:
        yield from ("", f"{name} at {account['step']}: what is left")
        yield from accounting(account)
    for measure, lines in TOLD.items():
        if (found := run.get(measure)) is not None:
            yield from ("", f"{name} at {found['step']}", *lines(found))
