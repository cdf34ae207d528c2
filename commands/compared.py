"""What ``eval`` measured of the dense, the masked and the compacted network, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.text import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from foundations.hparams import Json

_VARIANTS = ("dense", "masked", "compacted")


def flops(found: Json) -> Iterator[str]:
    """Parameters and operations for one image."""
    counted = found["operations"]
    rows = [
        ("parameters", found["parameters"]),
        *((f"{each['unit']} ({each['convention']})", each["count"]) for each in counted),
    ]
    names = _present(found["parameters"])
    cells = [(head, *(f"{counts[name]:,}" for name in names)) for head, counts in rows]
    yield table(("for one image", *names), cells)


def compression(found: Json) -> Iterator[str]:
    """Stored bytes and ratios."""
    stored, ratio = found["stored"], found["ratio"]
    names = _present(stored)
    rows = [("bytes stored", *(f"{stored[name]:,}" for name in names))]
    if ratio:
        rows.append(("times smaller", *(_times(ratio.get(name, 1.0)) for name in names)))
    yield table(("compression", *names), rows)


def latency(found: Json) -> Iterator[str]:
    """Medians and quartiles, ratios, and what they come to in words."""
    names = _present(found["parameters"])
    heads = ("batch", "threads", *(f"{name} (quartiles)" for name in names))
    others = names[1:]
    rows = [
        (
            *(str(each["batch"]), str(each["threads"])),
            *(_milliseconds(each["seconds"][name]) for name in names),
            *(_times(each["speedup"][name]) for name in others),
            str(each["rounds"]),
        )
        for each in found["results"]
    ]
    yield f"latency on {found['device']}"
    yield table((*heads, *(f"{name} faster" for name in others), "rounds"), rows)
    yield from _plainly(found)


def memory(found: Json) -> Iterator[str]:
    """The peak of each variant, and of what it is made up."""
    what = {"allocator": "given out by the allocator", "tensors": "in tensors alive at once"}
    yield f"peak memory of a forward pass, in bytes, {what[found['counted']]}"
    rows = [
        (str(each["batch"]), name, *(f"{size[part]:,}" for part in _PARTS))
        for each in found["results"]
        for name, size in each["variants"].items()
    ]
    yield table(("batch", "network", *_PARTS.values()), rows)


_PARTS = {
    "stored": "parameters and buffers",
    "images": "images",
    "passing": "activations",
    "peak": "peak",
}

TOLD: dict[str, Callable[[Json], Iterator[str]]] = {
    "flops": flops,
    "compression": compression,
    "latency": latency,
    "memory": memory,
}
"""By the name of what was measured."""


def _plainly(found: Json) -> Iterator[str]:
    """Where a mask brings no speed, that is said."""
    parameters = found["parameters"]
    if "masked" not in parameters:
        yield "The run has no mask: there is nothing to compare."
        return
    every = [each["seconds"] for each in found["results"]]
    if not all(_faster(seconds["masked"], seconds["dense"]) for seconds in every):
        yield (
            "The mask alone brings no speed: the masked network carries out all operations of the "
            "dense one, and a zero is multiplied like any number."
        )
    if parameters["compacted"] == parameters["dense"]:
        yield (
            "Compaction removes nothing here: no channel is without effect. What the mask cuts "
            "makes the stored network smaller, not faster."
        )
    elif not any(_faster(seconds["compacted"], seconds["dense"]) for seconds in every):
        yield "Compaction makes the network smaller here, not faster."


def _faster(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """By more than what varies: the middle halves of the times do not overlap."""
    return one["upper_quartile"] < other["lower_quartile"]


def _present(found: Mapping[str, object]) -> list[str]:
    return [name for name in _VARIANTS if name in found]


def _milliseconds(spread: Mapping[str, float]) -> str:
    lower, upper = spread["lower_quartile"], spread["upper_quartile"]
    return f"{_digits(spread['median'])} ms ({_digits(lower)} to {_digits(upper)})"


def _digits(seconds: float) -> str:
    return f"{1e3 * seconds:,.3f}"


def _times(ratio: float) -> str:
    return f"{ratio:.2f} x"
