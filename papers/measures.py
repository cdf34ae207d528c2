"""Which numbers of runs the tables and figures of papers show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from papers.paper import Measure

if TYPE_CHECKING:
    from branches.opened import Run


def percentage(name: str, digits: int = 2) -> Measure:
    """An end metric that is a fraction, shown in percent: ``"test accuracy"``, ``"test top5"``."""
    return Measure(name, factor=100, digits=digits, unit="%")


def density(run: Run) -> float | None:
    """The fraction of the prunable weights that is kept, as it was counted."""
    counts = run.sparsity
    if counts is None:
        return None
    return float(counts["kept"] / counts["total"]) if counts["total"] else 1.0


def sparsity(run: Run) -> float | None:
    """The fraction of the prunable weights that is cut, as it was counted."""
    left = density(run)
    return None if left is None else 1 - left


def compression(run: Run) -> float | None:
    """The prunable weights there were over those that are kept; None where none is."""
    left = density(run)
    return 1 / left if left else None


def kept(run: Run) -> float | None:
    """How many weights of convolutions and linear layers are kept."""
    counts = run.sparsity
    return None if counts is None else float(counts["kept"])


def weights(run: Run) -> float | None:
    """How many weights of convolutions and linear layers lie on a path that is left."""
    counts = run.sparsity
    return None if counts is None else float(counts.get("weights_effective", counts["total"]))


def operations(run: Run) -> float | None:
    """Which fraction of the multiplications of weights lies on a path that is left."""
    counts = run.sparsity
    if counts is None or not counts.get("macs"):
        return None
    return float(counts["macs_effective"] / counts["macs"])


ACCURACY = percentage("test accuracy")
LOSS = Measure("test loss")
WEIGHTS_LEFT = Measure("weights left", density, factor=100, digits=1, unit="%")
SPARSITY = Measure("sparsity", sparsity, factor=100, digits=1, unit="%")
COMPRESSION = Measure("compression", compression, digits=2)
KEPT = Measure("weights kept", kept, factor=1e-6, digits=2, unit="M")
WEIGHTS = Measure("weights", weights, factor=1e-6, digits=3, unit="M")
OPERATIONS = Measure("operations left", operations, factor=100, digits=1, unit="%")
