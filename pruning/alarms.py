"""What is said loudly of a pruned network: layers with nothing left. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foundations.hparams import Json


def alarms(report: Json) -> Iterator[str]:
    """A line for each layer that is cut to nothing or cut off, and one if no path is left.

    Args:
        report: As ``sparsity.json`` or an account has it; an old one lacks some of it.
    """
    for layer in report.get("cut_to_nothing", ()):
        yield f"WARNING: {layer} has nothing left: nothing passes through it."
    for layer in report.get("cut_off", ()):
        yield (
            f"WARNING: {layer} is cut off: none of the weights that it has left is on a path from "
            "the image to the output."
        )
    if report.get("no_path"):
        yield "WARNING: no path leads from the image to the output: the network is a constant."
