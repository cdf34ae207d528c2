"""How wide the layers of wide and of dense networks are, and which numbers their names may have.

Widths are rounded down to whole channels, so that many factors give the same network. A network has
one name: that whose factors have the fewest digits, and of those the lowest.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from models.family import Arguments

FACTOR = r"(?:[1-9]\d*(?:\.\d*[1-9])?|0\.\d*[1-9])"
"""A number above 0 without superfluous zeros, as in a regular expression."""

STEM = 16
"""The channels that the first convolution of a wide network has, whatever its width."""

_BOTTLENECK = 4
"""How many times the growth the bottlenecks of a DenseNet have (Huang et al. 2017, section 3)."""


class Wide(NamedTuple):
    """A WideResNet in numbers."""

    blocks: int
    """In each of the three stages."""
    outputs: tuple[int, ...]
    """The channels of each stage."""
    inner: tuple[int, ...]
    """Those between the two convolutions of its blocks."""


class Dense(NamedTuple):
    """A DenseNet in numbers."""

    layers: int
    """In each of the three blocks."""
    growth: int
    """The channels that a layer adds."""
    inner: int | None
    """The channels of its bottleneck; None without."""
    compressed: tuple[int, ...]
    """The channels after each of the two transitions."""


def wide(arguments: Arguments) -> Wide:
    """The WideResNet of a name: 16K, 32K and 64K channels; inside of blocks, Z times as many."""
    width, multiple = (Fraction(arguments.get(name, "1")) for name in ("width", "bottle"))
    outputs = tuple(int(STEM * 2**stage * width) for stage in range(3))
    inner = tuple(int(channels * multiple) for channels in outputs)
    return Wide((int(arguments["depth"]) - 4) // 6, outputs, inner)


def dense(arguments: Arguments) -> Dense:
    """The DenseNet of a name: transitions leave a part of the channels, all or half unless given.

    Layers have bottlenecks of 4K channels, or Z times as many, where the name says ``bc``.
    """
    growth, bottlenecks = int(arguments["growth"]), "bottleneck" in arguments
    layers = (int(arguments["depth"]) - 4) // (6 if bottlenecks else 3)
    rate = Fraction(arguments.get("transition", "0.5" if bottlenecks else "1"))
    compressed, channels = [], 2 * growth
    for _ in range(2):
        channels = int((channels + layers * growth) * rate)
        compressed.append(channels)
    inner = int(_BOTTLENECK * growth * Fraction(arguments.get("bottle", "1")))
    return Dense(layers, growth, inner if bottlenecks else None, tuple(compressed))


def is_wide(arguments: Arguments) -> bool:
    """Whether there is such a WideResNet, and this is its name."""
    depth = int(arguments["depth"])
    found = wide(arguments)
    there = depth >= 10 and depth % 6 == 4 and min(found.outputs + found.inner) > 0
    return there and _is_name(arguments, ("width", "bottle"), wide)


def is_dense(arguments: Arguments) -> bool:
    """Whether there is such a DenseNet, and this is its name."""
    depth, step = int(arguments["depth"]), 6 if "bottleneck" in arguments else 3
    found = dense(arguments)
    compresses = Fraction(arguments.get("transition", "1")) <= 1 and min(found.compressed) > 0
    there = depth >= 4 + step and (depth - 4) % step == 0 and compresses and found.inner != 0
    return there and _is_name(arguments, ("transition", "bottle"), dense)


def _is_name(
    arguments: Arguments, factors: Sequence[str], numbers: Callable[[Arguments], object]
) -> bool:
    """Whether no simpler factor, and none left out, gives the same network."""
    own = numbers(arguments)
    return all(
        numbers(simpler) != own
        for name in factors
        if name in arguments
        for simpler in _simpler(arguments, name)
    )


def _simpler(arguments: Arguments, name: str) -> Iterator[Arguments]:
    """The same without this factor, and with its neighbours of fewer digits, and the next lower.

    Widths never fall as a factor grows, so if any simpler number gave the same, one of these would.
    """
    if name != "width":
        yield {key: part for key, part in arguments.items() if key != name}
    whole, _, part = arguments[name].partition(".")
    digits, places = int(whole + part), len(part)
    lower = [(digits - 1, places)]
    for fewer in range(places):
        below = digits // 10 ** (places - fewer)
        lower += [(below, fewer), (below + 1, fewer)]
    for number, at in lower:
        if number > 0:
            yield {**arguments, name: str(Fraction(number, 10**at))}
